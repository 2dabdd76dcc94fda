"""Silences, and what they cover, as people read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from tocsin.api.notify.v1.silence_pb2 import SilenceState
from tocsin.cli.matcher_text import matcher_text
from tocsin.cli.names import short_name
from tocsin.cli.references import short_id
from tocsin.cli.route_view import recurrence_text
from tocsin.cli.times import age, moment_of, span, stamp

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from google.protobuf.timestamp_pb2 import Timestamp

    from tocsin.api.notify.v1.silence_pb2 import CoveredAlert, Silence, SilenceCoverage
    from tocsin.cli.grid import Cell

SILENCE_HEADINGS = ("ID", "STATE", "WHEN", "WHAT", "AUTHOR", "REASON")
COVERED_HEADINGS = ("ALERT", "SEVERITY", "HOST", "KIND", "KEY")

_STYLES = {"active": "yellow", "expired": "dim"}


def silence_row(silence: Silence, now: datetime) -> list[Cell]:
    """Return the row of a silence under SILENCE_HEADINGS."""
    return [
        short_id(silence.silence_id),
        _state(silence),
        _when(silence, now),
        _what(silence),
        silence.author,
        silence.reason,
    ]


def silence_fields(silence: Silence, now: datetime) -> Iterator[tuple[str, str | Text]]:
    """Yield what there is to tell about a silence, by name."""
    yield "silence", silence.silence_id
    yield "state", _state(silence)
    yield "what", _what(silence)
    yield "from", _moment(silence.start_time, now)
    yield "until", _moment(silence.end_time, now) if silence.HasField("end_time") else ""
    if silence.HasField("recurrence"):
        length = span(silence.duration.ToTimedelta())
        yield "window", f"{recurrence_text(silence.recurrence)}, for {length}"
    if silence.HasField("next_start_time"):
        yield "next", _moment(silence.next_start_time, now)
    if silence.HasField("active_until_time"):
        yield "active until", _moment(silence.active_until_time, now)
    yield "author", silence.author
    yield "reason", silence.reason
    if silence.HasField("expire_time"):
        yield "ended", f"{_moment(silence.expire_time, now)} by {silence.expired_by}"


def covered_text(coverage: SilenceCoverage) -> str:
    """Tell in a sentence what is covered now."""
    if not coverage.alert_count:
        return "It covers no alert at this moment."
    alerts = "1 alert" if coverage.alert_count == 1 else f"{coverage.alert_count:,} alerts"
    hosts = "1 host" if coverage.host_count == 1 else f"{coverage.host_count:,} hosts"
    critical = f", {coverage.critical_count:,} of them critical" if coverage.critical_count else ""
    return f"It covers {alerts} on {hosts} at this moment{critical}:"


def covered_row(alert: CoveredAlert) -> list[Cell]:
    """Return the row of an alert under COVERED_HEADINGS."""
    host = alert.host_name or alert.host_id
    return [short_id(alert.alert_id), alert.severity, host, alert.kind, alert.dedup_key]


def _state(silence: Silence) -> Text:
    name = short_name(SilenceState, silence.state)
    return Text(name, style=_STYLES.get(name, ""))


def _when(silence: Silence, now: datetime) -> str:
    if silence.HasField("active_until_time"):
        return f"until {stamp(moment_of(silence.active_until_time))}"
    if silence.HasField("next_start_time"):
        return f"next {age(moment_of(silence.next_start_time), now)}"
    if silence.HasField("expire_time"):
        return f"ended {age(moment_of(silence.expire_time), now)}"
    if silence.HasField("end_time") and moment_of(silence.end_time) <= now:
        return f"ended {age(moment_of(silence.end_time), now)}"
    return f"begins {age(moment_of(silence.start_time), now)}"


def _what(silence: Silence) -> str:
    return " and ".join(matcher_text(matcher) for matcher in silence.matchers)


def _moment(moment: Timestamp, now: datetime) -> str:
    at = moment_of(moment)
    return f"{stamp(at)} ({age(at, now)})"
