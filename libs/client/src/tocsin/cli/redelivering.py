"""`tocsin delivery redeliver`: one that ended, or all that were given up, once more."""

from datetime import datetime
from typing import Annotated

import typer

from tocsin.api.notify.v1.decision_pb2 import DecisionReason
from tocsin.api.notify.v1.delivery_pb2 import DeliveryState
from tocsin.cli import references
from tocsin.cli.command import command
from tocsin.cli.delivery_view import DELIVERY_HEADINGS, delivery_row
from tocsin.cli.exits import wrong_usage
from tocsin.cli.names import checked_names
from tocsin.cli.output import as_json
from tocsin.cli.session import Session
from tocsin.cli.text import one_line
from tocsin.cli.times import parse_moment, parse_span

_Delivery = Annotated[
    str,
    typer.Argument(
        metavar="DELIVERY",
        help="Its id, or at least 4 characters of the id's end or beginning. "
        "Without one, --since says which.",
    ),
]
_Since = Annotated[
    str,
    typer.Option(
        "--since",
        metavar="SPAN|RFC3339",
        help="All that were given up since then, such as 2h, or 2026-01-31T03:15:00Z.",
    ),
]
_Channel = Annotated[
    str, typer.Option("--channel", metavar="CHANNEL", help="With --since: only to this one.")
]
_States = Annotated[
    list[str],
    typer.Option(
        "--state",
        metavar="STATE",
        help="With --since: dead or expired ones. May be repeated.",
        show_default="dead",
    ),
]
_Reasons = Annotated[
    list[str],
    typer.Option(
        "--reason",
        metavar="REASON",
        help="With --since: only those that ended as refused, attempts_exhausted, channel_gone or "
        "too_late. May be repeated.",
    ),
]
_Limit = Annotated[
    int,
    typer.Option("--limit", min=1, metavar="COUNT", help="With --since: at most so many."),
]
_DryRun = Annotated[
    bool, typer.Option("--dry-run", help="With --since: only say what would be sent.")
]


def add_to(group: typer.Typer) -> None:
    """Add the command to `tocsin delivery`."""
    command(
        group,
        "redeliver",
        channel_id="--channel",
        settled_after_time="--since",
        states="--state",
        reasons="--reason",
        limit="--limit",
    )(redeliver)


def redeliver(
    session: Session,
    *,
    delivery: _Delivery = "",
    since: _Since = "",
    channel: _Channel = "",
    state: _States = [],  # noqa: B006 - typer never changes it
    reason: _Reasons = [],  # noqa: B006
    limit: _Limit = 1_000,
    dry_run: _DryRun = False,
) -> None:
    """Send one that has ended once more, or all that were given up since some time.

    Under the same id. Left are those of alerts that are resolved by now, unless they tell their
    end, and those for which newer news waits.
    """
    if bool(delivery) == bool(since):
        raise wrong_usage("Name one DELIVERY, or give --since for all that were given up.")
    if delivery:
        if channel or state or reason or dry_run:
            raise wrong_usage("DELIVERY: the filters go with --since; leave them out, or leave it.")
        _one(session, delivery)
        return
    _all(
        session,
        _moment(since, session.now()),
        channel=references.channel_id(session, channel) if channel else "",
        states=checked_names("--state", DeliveryState, state),
        reasons=checked_names("--reason", DecisionReason, reason),
        limit=limit,
        dry_run=dry_run,
    )


def _one(session: Session, delivery: str) -> None:
    found = session.notify.redeliver(references.delivery_id(session, delivery))
    if session.output.json_wanted:
        session.output.document({"delivery": as_json(found)})
        return
    channel = one_line(found.channel_display_name)
    session.output.line(f"{found.event_type} to {channel} waits for its turn ({found.delivery_id})")


def _all(
    session: Session,
    since: datetime,
    *,
    channel: str,
    states: list[str],
    reasons: list[str],
    limit: int,
    dry_run: bool,
) -> None:
    found = session.notify.redeliver_all(
        since, channel_id=channel, states=states, reasons=reasons, limit=limit, dry_run=dry_run
    )
    if session.output.json_wanted:
        session.output.document(found)
        return
    if found.examples:
        now = session.now()
        rows = [delivery_row(each, now) for each in found.examples]
        session.output.table(DELIVERY_HEADINGS, rows)
    verb = "would be sent" if dry_run else "are sent"
    session.output.line(f"{found.redelivered_count:,} {verb} once more.")
    if found.left_count:
        session.output.line(f"{found.left_count:,} are left: resolved, or newer news waits.")
    if found.more:
        session.output.remark("There are more. Once more, or with --limit COUNT")


def _moment(given: str, now: datetime) -> datetime:
    try:
        return now - parse_span(given)
    except ValueError:
        pass
    try:
        return parse_moment(given)
    except ValueError as error:
        raise wrong_usage(f"--since: {error}, or 2h") from None
