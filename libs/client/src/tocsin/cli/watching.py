"""`tocsin watch`: follows every change as it is committed, over every interruption."""

import asyncio
import logging
from typing import Annotated
from uuid import UUID

import typer

from tocsin.api.alert.v1.alert_pb2 import Severity
from tocsin.api.alert.v1.event_pb2 import AlertEventType, Position
from tocsin.cli import options
from tocsin.cli.command import command
from tocsin.cli.exits import wrong_usage
from tocsin.cli.names import checked_name, checked_names
from tocsin.cli.session import Session
from tocsin.cli.watch_view import tell_batch
from tocsin.client.options import OnFirst, SubscriptionOptions
from tocsin.client.subscription import EventSubscription
from tocsin.common.rpc.channel import open_channel


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "watch")(watch)


def watch(
    session: Session,
    *,
    after: Annotated[
        str,
        typer.Option(
            "--after",
            metavar="EPOCH:REVISION",
            help="Resume after this position, as --json prints it.",
        ),
    ] = "",
    snapshot: Annotated[
        bool, typer.Option("--snapshot", help="First what is not resolved, then every change.")
    ] = False,
    from_oldest: Annotated[
        bool, typer.Option("--from-oldest", help="Begin with the oldest event that is kept.")
    ] = False,
    host: options.Hosts = [],  # noqa: B006 - typer never changes it
    kind: options.Kinds = [],  # noqa: B006
    min_severity: options.MinSeverity = "info",
    event_type: Annotated[
        list[str],
        typer.Option(
            "--type",
            metavar="TYPE",
            help="Only these events: raised, severity_changed, cause_changed, acknowledged, "
            "unacknowledged, resolved, unsuppressed. May be repeated.",
        ),
    ] = [],  # noqa: B006
) -> None:
    """Print every change as it happens, until Ctrl-C. A lost connection is resumed.

    With --json: one JSON object a line. `event` is a change (`synthetic` when it was found by a
    comparison, because the log no longer holds it); `snapshot_alert` comes with --snapshot; a line
    with only `position` is a bookmark. Resume with --after and the last position.
    """
    wanted: SubscriptionOptions = {
        **_start(after, snapshot=snapshot, from_oldest=from_oldest),
        "host_ids": host,
        "kinds": kind,
        "types": checked_names("--type", AlertEventType, event_type),
    }
    severity = checked_name("--min-severity", Severity, min_severity)
    if severity != "info":
        wanted["min_severity"] = severity
    session.alerts.list_alerts_page(page_size=1)  # fails at once when nobody is there
    asyncio.run(_follow(session, wanted))


def _start(after: str, *, snapshot: bool, from_oldest: bool) -> SubscriptionOptions:
    """Return where to begin. Raises a usage error when more than one place is given."""
    if sum((bool(after), snapshot, from_oldest)) > 1:
        raise wrong_usage("--after, --snapshot and --from-oldest exclude each other; give one")
    first: OnFirst = "snapshot_known" if snapshot else "oldest" if from_oldest else "now"
    return {"after": _read_position(after) if after else None, "on_first": first}


async def _follow(session: Session, wanted: SubscriptionOptions) -> None:
    logging.getLogger("tocsin.client").setLevel(logging.CRITICAL)  # `tell_state` says it shorter
    target, leaving = session.alert_target, asyncio.Event()

    def tell_state(connected: bool) -> None:
        if not leaving.is_set():
            told = "Connected to" if connected else "Lost the connection, trying again:"
            session.output.remark(f"{told} {target}")

    wanted["on_state"] = tell_state
    async with (
        open_channel(target) as channel,
        EventSubscription(channel, **wanted) as events,
    ):
        try:
            async for batch in events:
                tell_batch(session, batch)
        finally:
            leaving.set()


def _read_position(given: str) -> Position:
    epoch, _, revision = given.rpartition(":")
    try:
        return Position(epoch=str(UUID(epoch)), revision=int(revision))
    except ValueError:  # protobuf's own, for a number over 63 bits, included
        raise wrong_usage(
            f"--after: {given!r} is no position; write EPOCH:REVISION, for example "
            "018f2a6e-7c1b-7e1a-9d55-3b8f0c2d4e6f:42"
        ) from None
