"""`tocsin host …`: the machines that are watched, and the names that people know."""

from typing import Annotated

import typer

from tocsin.api.alert.v1.backup_pb2 import Host, HostProfile
from tocsin.cli import options
from tocsin.cli.backup_view import HOST_HEADINGS, host_fields, host_row
from tocsin.cli.command import command
from tocsin.cli.names import checked_name
from tocsin.cli.output import as_json
from tocsin.cli.retiring import tell_retired
from tocsin.cli.session import Session

_PAGE = 1_000


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Name the hosts, and say how their silence is judged.")
    for name, function in (
        ("put", put),
        ("list", list_hosts),
        ("show", show),
        ("retire", retire),
    ):
        command(group, name)(function)
    app.add_typer(group, name="host", no_args_is_help=True)


def put(
    session: Session,
    host: options.Host,
    *,
    name: Annotated[
        str, typer.Option("--name", metavar="NAME", help="The name people know it by.")
    ] = "",
    profile: Annotated[
        str,
        typer.Option(
            "--profile",
            metavar="PROFILE",
            help="server (always on), laptop (judged by the objectives of its source groups) or "
            "ephemeral (never called offline).",
        ),
    ] = "server",
    offline_after: Annotated[
        str,
        typer.Option(
            "--offline-after",
            metavar="SPAN",
            help="How long a server may be silent: 15m or more.",
            show_default="15m from its first heartbeat on",
        ),
    ] = "",
    label: options.Labels = [],  # noqa: B006 - typer never changes it
) -> None:
    """Write a host, whole: what is not given is emptied. A retired one is watched again."""
    written = session.backups.put_host(
        host,
        name=name,
        labels=options.read_labels(label),
        profile=checked_name("--profile", HostProfile, profile),
        offline_after=options.read_length("--offline-after", offline_after),
    )
    _tell(session, written)


def list_hosts(session: Session, *, all_: options.All = False) -> None:
    """List the hosts by their ids."""
    hosts = list(session.backups.list_hosts(include_retired=all_, page_size=_PAGE))
    if session.output.json_wanted:
        session.output.document({"hosts": [as_json(host) for host in hosts]})
        return
    if not hosts:
        session.output.line(
            "No hosts. Reports may name any host; one that is put here is missed when it is silent."
        )
        return
    now = session.now()
    session.output.table(HOST_HEADINGS, [host_row(host, now) for host in hosts])


def show(session: Session, host: options.Host) -> None:
    """Show one host, also a retired one."""
    _tell(session, session.backups.get_host(host))


def retire(session: Session, host: options.Host) -> None:
    """Watch a host no more, with all it has, and resolve what stands for it."""
    answer = session.backups.retire_host(host)
    tell_retired(
        session,
        host,
        answer,
        from_now="its backups raise no alerts any more",
        all_="it, its source groups and its schedules",
    )


def _tell(session: Session, host: Host) -> None:
    if session.output.json_wanted:
        session.output.document({"host": as_json(host)})
        return
    session.output.fields(host_fields(host, session.now()))
