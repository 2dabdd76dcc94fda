"""`tocsin why`: who was told of an alert, and why was I not?"""

from typing import Annotated

import typer

from tocsin.api.notify.v1.decision_pb2 import Decision, DecisionReason
from tocsin.cli import options, references
from tocsin.cli.command import command
from tocsin.cli.grid import Cell
from tocsin.cli.names import short_name
from tocsin.cli.session import Session
from tocsin.cli.text import one_line
from tocsin.cli.times import moment_of, stamp

HEADINGS = ("TIME", "CHANNEL", "EVENT", "DECISION", "WHY")


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "why", alert_id="ALERT", channel_id="--channel")(why)


def why(
    session: Session,
    alert: options.AlertRef,
    *,
    channel: Annotated[
        str, typer.Option("--channel", metavar="CHANNEL", help="Only for this channel.")
    ] = "",
) -> None:
    """Explain who was told of an alert, when, and why not: every decision, in its order."""
    found = session.notify.explain_alert(
        references.alert_id(session, alert),
        channel_id=references.channel_id(session, channel) if channel else "",
    )
    if session.output.json_wanted:
        session.output.document(found)
        return
    names = {each.channel_id: each.channel_display_name for each in found.summaries}
    for each in found.summaries:
        session.output.line(f"{one_line(each.channel_display_name)}: {one_line(each.text)}")
    session.output.line("")
    session.output.table(HEADINGS, [_row(each, names) for each in found.decisions])
    if found.truncated:
        session.output.remark("Older decisions are left out.")


def _row(decision: Decision, names: dict[str, str]) -> list[Cell]:
    return [
        stamp(moment_of(decision.time)),
        names.get(decision.channel_id, decision.channel_id),
        decision.event_type,
        short_name(DecisionReason, decision.reason),
        decision.text,
    ]
