"""`tocsin group …`: what is backed up together, and how old its last good backup may become."""

from typing import Annotated

import typer

from tocsin.api.alert.v1.backup_pb2 import SourceGroup
from tocsin.cli import options
from tocsin.cli.backup_view import GROUP_HEADINGS, group_fields, group_row
from tocsin.cli.command import command
from tocsin.cli.output import as_json
from tocsin.cli.retiring import tell_retired
from tocsin.cli.session import Session

_PAGE = 1_000

Group = Annotated[
    str, typer.Argument(metavar="GROUP", help="The source group, as backups of it are reported.")
]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Name what is backed up together, and its objective.")
    for name, function in (
        ("put", put),
        ("list", list_groups),
        ("show", show),
        ("retire", retire),
    ):
        command(group, name, host_id="--host", source_group_id="GROUP")(function)
    app.add_typer(group, name="group", no_args_is_help=True)


def put(
    session: Session,
    group: Group,
    *,
    host: Annotated[
        str, typer.Option("--host", metavar="HOST", help="The host it lies on, for life.")
    ],
    repository: Annotated[
        str, typer.Option("--repository", metavar="ID", help="Where it is backed up to.")
    ] = "",
    name: Annotated[
        str, typer.Option("--name", metavar="NAME", help="The name people know it by.")
    ] = "",
    objective: Annotated[
        str,
        typer.Option(
            "--objective",
            metavar="SPAN",
            help="How old its last good backup may become, such as 26h. Its alerts rise when that "
            "is passed once, twice and four times.",
            show_default="none",
        ),
    ] = "",
) -> None:
    """Write a source group, whole: what is not given is emptied. A retired one is watched again."""
    length = options.read_length("--objective", objective)
    written = session.backups.put_source_group(
        group, host, repository_id=repository, name=name, objective=length
    )
    _tell(session, written)


def list_groups(session: Session, *, host: options.OfHost = "", all_: options.All = False) -> None:
    """List the source groups by their ids."""
    found = session.backups.list_source_groups(host_id=host, include_retired=all_, page_size=_PAGE)
    groups = list(found)
    if session.output.json_wanted:
        session.output.document({"source_groups": [as_json(group) for group in groups]})
        return
    if not groups:
        session.output.line("No source groups. Write one with `tocsin group put`.")
        return
    session.output.table(GROUP_HEADINGS, [group_row(group) for group in groups])


def show(session: Session, group: Group) -> None:
    """Show one source group, also a retired one."""
    _tell(session, session.backups.get_source_group(group))


def retire(session: Session, group: Group) -> None:
    """Watch a source group and its schedules no more, and resolve what stands for them."""
    answer = session.backups.retire_source_group(group)
    tell_retired(session, group, answer, all_="it and its schedules")


def _tell(session: Session, group: SourceGroup) -> None:
    if session.output.json_wanted:
        session.output.document({"source_group": as_json(group)})
        return
    session.output.fields(group_fields(group, session.now()))
