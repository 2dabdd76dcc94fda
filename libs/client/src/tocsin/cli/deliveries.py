"""`tocsin delivery …`: who was told what, when, and why not."""

from itertools import islice
from typing import Annotated

import typer

from tocsin.api.notify.v1.delivery_pb2 import DeliveryState
from tocsin.cli import options, redelivering, references
from tocsin.cli.command import command
from tocsin.cli.delivery_view import (
    ATTEMPT_HEADINGS,
    DELIVERY_HEADINGS,
    attempt_row,
    delivery_fields,
    delivery_row,
)
from tocsin.cli.names import checked_names
from tocsin.cli.output import as_json
from tocsin.cli.session import Session

_PAGE = 1_000


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="See who was told, and tell them again.", no_args_is_help=True)
    command(group, "list")(list_deliveries)
    command(group, "show")(show)
    redelivering.add_to(group)
    app.add_typer(group, name="delivery")


def list_deliveries(
    session: Session,
    *,
    channel: Annotated[
        str, typer.Option("--channel", metavar="CHANNEL", help="Only to this channel.")
    ] = "",
    alert: Annotated[
        str, typer.Option("--alert", metavar="ALERT", help="Only about this alert.")
    ] = "",
    state: Annotated[
        list[str],
        typer.Option(
            "--state",
            metavar="STATE",
            help="Only pending, sending, delivered, suppressed, dead, held, superseded or expired"
            " ones. May be repeated.",
        ),
    ] = [],  # noqa: B006 - typer never changes it
    limit: Annotated[
        int, typer.Option("--limit", min=1, metavar="COUNT", help="At most so many.")
    ] = 100,
) -> None:
    """List deliveries, the latest first."""
    found = session.notify.list_deliveries(
        channel_id=references.channel_id(session, channel) if channel else "",
        alert_id=references.alert_id(session, alert) if alert else "",
        states=checked_names("--state", DeliveryState, state),
        page_size=min(limit + 1, _PAGE),
    )
    deliveries = list(islice(found, limit))
    left_out = next(found, None) is not None
    if session.output.json_wanted:
        content = {"deliveries": [as_json(each) for each in deliveries], "truncated": left_out}
        session.output.document(content)
        return
    if not deliveries:
        session.output.line("No deliveries.")
        return
    now = session.now()
    session.output.table(DELIVERY_HEADINGS, [delivery_row(each, now) for each in deliveries])
    if left_out:
        session.output.remark(f"Only the latest {limit:,} are listed. More: --limit COUNT")


def show(session: Session, delivery: options.DeliveryRef) -> None:
    """Show one delivery with its attempts."""
    found = session.notify.get_delivery(references.delivery_id(session, delivery))
    if session.output.json_wanted:
        session.output.document(found)
        return
    session.output.fields(delivery_fields(found.delivery, session.now()))
    session.output.line("")
    if found.attempts:
        rows = [attempt_row(attempt) for attempt in found.attempts]
        session.output.table(ATTEMPT_HEADINGS, rows)
    else:
        session.output.line("No attempt was made yet.")
