"""Whether channels work, as people read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from tocsin.api.notify.v1.channel_health_pb2 import BreakerState
from tocsin.api.notify.v1.decision_pb2 import DecisionReason
from tocsin.cli.names import short_name
from tocsin.cli.times import age, moment_of, stamp

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from google.protobuf.timestamp_pb2 import Timestamp

    from tocsin.api.notify.v1.channel_health_pb2 import ChannelHealth
    from tocsin.api.notify.v1.channel_type_pb2 import ChannelType
    from tocsin.cli.grid import Cell

HEALTH_HEADINGS = ("NAME", "STATE", "LAST SENT", "WAITING", "OLDEST", "HELD", "DEAD", "LAST ERROR")
TYPE_HEADINGS = ("TYPE", "NAME", "HERE", "WHAT")


def health_row(health: ChannelHealth, now: datetime, *, disabled: bool) -> list[Cell]:
    """Return the row of a channel under HEALTH_HEADINGS.

    OLDEST is the age of what waits longest. An error is shown until something was accepted.
    """
    waits, sent = health.HasField("oldest_pending_time"), health.HasField("last_success_time")
    dead = _dead(health)
    return [
        health.channel_display_name,
        _state(health, now, disabled=disabled),
        age(moment_of(health.last_success_time), now) if sent else "never",
        f"{health.pending_count:,}" if health.pending_count else "",
        age(moment_of(health.oldest_pending_time), now) if waits else "",
        f"{health.held_count:,}" if health.held_count else "",
        Text(f"{dead:,}", style="bold red") if dead else "",
        health.last_error if health.failure_count else "",
    ]


def health_fields(
    health: ChannelHealth, now: datetime, *, disabled: bool
) -> Iterator[tuple[str, str | Text]]:
    """Yield what there is to tell about one channel, by name."""
    yield "channel", health.channel_id
    yield "name", health.channel_display_name
    yield "state", _state(health, now, disabled=disabled)
    if health.breaker in _TROUBLED:
        yield "since", _moment(health, "since_time", now)
    yield "last sent", _moment(health, "last_success_time", now) or "never"
    yield "last error", _moment(health, "last_error_time", now)
    yield "", health.last_error
    yield "waiting", f"{health.pending_count:,}"
    yield "the oldest", _moment(health, "oldest_pending_time", now)
    yield "held", f"{health.held_count:,}"
    yield "dead", f"{_dead(health):,}"
    for each in health.dead:
        yield "", f"{each.count:,} {short_name(DecisionReason, each.reason)}"


def type_row(kind: ChannelType) -> list[Cell]:
    """Return the row of a type under TYPE_HEADINGS."""
    return [
        kind.name,
        kind.display_name,
        Text("yes", style="green") if kind.available else Text("no", style="yellow"),
        kind.description if kind.available else kind.unavailable_reason,
    ]


_TROUBLED = (BreakerState.BREAKER_STATE_OPEN, BreakerState.BREAKER_STATE_HALF_OPEN)


def _state(health: ChannelHealth, now: datetime, *, disabled: bool) -> Text:
    if disabled:
        return Text("disabled", style="yellow")
    if health.breaker in _TROUBLED:
        tried = health.HasField("probe_time")
        due = f", tried {age(moment_of(health.probe_time), now)}" if tried else ""
        return Text(f"broken{due}", style="bold red")
    if health.failure_count:
        return Text(f"failed x{health.failure_count}", style="yellow")
    return Text("works", style="green") if health.HasField("last_success_time") else Text("unused")


def _dead(health: ChannelHealth) -> int:
    return sum(each.count for each in health.dead)


def _moment(health: ChannelHealth, field: str, now: datetime) -> str:
    if not health.HasField(field):  # type: ignore[arg-type]  # the stub wants the names themselves
        return ""
    moment: Timestamp = getattr(health, field)
    return f"{stamp(moment_of(moment))} ({age(moment_of(moment), now)})"
