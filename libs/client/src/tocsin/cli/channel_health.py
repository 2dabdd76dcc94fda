"""`tocsin channel health` and `channel types`: do they work, and what can be made here?"""

from typing import Annotated

import typer

from tocsin.cli import references
from tocsin.cli.channel_health_view import (
    HEALTH_HEADINGS,
    TYPE_HEADINGS,
    health_fields,
    health_row,
    type_row,
)
from tocsin.cli.command import command
from tocsin.cli.output import as_json
from tocsin.cli.session import Session

_PAGE = 1_000


def add_to(channel_group: typer.Typer) -> None:
    """Add the commands."""
    command(channel_group, "health")(health)
    command(channel_group, "types")(types)


def health(
    session: Session,
    channel: Annotated[
        str,
        typer.Argument(
            metavar="CHANNEL", help="Only this one, in full: its name, or the end of its id."
        ),
    ] = "",
) -> None:
    """Tell whether the channels work: what fails, what waits, and what was given up."""
    one = references.channel_id(session, channel) if channel else ""
    found = session.notify.list_channel_health(one)
    if session.output.json_wanted:
        session.output.document({"channels": [as_json(each) for each in found]})
        return
    if not found:
        session.output.line("No channels: nobody is told. Create one with `tocsin channel create`.")
        return
    now = session.now()
    disabled = {
        each.channel_id
        for each in session.notify.list_channels(page_size=_PAGE)
        if not each.enabled
    }
    if one:
        session.output.fields(health_fields(found[0], now, disabled=one in disabled))
        return
    rows = [health_row(each, now, disabled=each.channel_id in disabled) for each in found]
    session.output.table(HEALTH_HEADINGS, rows)


def types(session: Session) -> None:
    """List the types of channels, and what the server lacks for those that cannot be made."""
    found = session.notify.list_channel_types()
    if session.output.json_wanted:
        session.output.document({"channel_types": [as_json(each) for each in found]})
        return
    session.output.table(TYPE_HEADINGS, [type_row(each) for each in found])
