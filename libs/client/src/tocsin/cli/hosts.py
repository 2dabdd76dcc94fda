"""`tocsin host …`: the registry of hosts, which gives them the names that people know."""

from typing import Annotated

import typer

from tocsin.api.alert.v1.backup_pb2 import Host
from tocsin.cli import options
from tocsin.cli.command import command
from tocsin.cli.output import as_json
from tocsin.cli.session import Session
from tocsin.cli.times import age, moment_of, stamp

_PAGE = 1_000


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Name the hosts.", no_args_is_help=True)
    command(group, "put")(put)
    command(group, "list")(list_hosts)
    command(group, "show")(show)
    app.add_typer(group, name="host")


def put(
    session: Session,
    host: options.Host,
    name: Annotated[
        str, typer.Option("--name", metavar="NAME", help="The name people know it by.")
    ] = "",
    label: options.Labels = [],  # noqa: B006 - typer never changes it
) -> None:
    """Write a host, whole: what is not given is emptied."""
    written = session.hosts.put_host(host, name=name, labels=options.read_labels(label))
    if session.output.json_wanted:
        session.output.document({"host": as_json(written)})
        return
    _tell(session, written)


def list_hosts(session: Session) -> None:
    """List the hosts by their ids."""
    hosts = list(session.hosts.list_hosts(page_size=_PAGE))
    if session.output.json_wanted:
        session.output.document({"hosts": [as_json(host) for host in hosts]})
        return
    if not hosts:
        session.output.line("No hosts. Alerts can name any host; naming one here is optional.")
        return
    now = session.now()
    rows = [
        [host.host_id, host.name, age(moment_of(host.update_time), now), _labels(host)]
        for host in hosts
    ]
    session.output.table(("HOST", "NAME", "CHANGED", "LABELS"), rows)


def show(session: Session, host: options.Host) -> None:
    """Show one host."""
    found = session.hosts.get_host(host)
    if session.output.json_wanted:
        session.output.document({"host": as_json(found)})
        return
    _tell(session, found)


def _tell(session: Session, host: Host) -> None:
    session.output.fields(
        [
            ("host", host.host_id),
            ("name", host.name),
            ("labels", _labels(host)),
            ("created", stamp(moment_of(host.create_time))),
            ("changed", stamp(moment_of(host.update_time))),
        ]
    )


def _labels(host: Host) -> str:
    return ", ".join(f"{name}={value}" for name, value in sorted(host.labels.items()))
