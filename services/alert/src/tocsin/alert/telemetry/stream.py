"""The event log and those who follow it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tocsin.common.telemetry.measures import Family

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tocsin.alert.eventlog.broadcast import Broadcast
    from tocsin.common.telemetry.measures import Reading

HEAD = Family(
    "tocsin_alert_log_head_revision",
    "gauge",
    "The newest revision of the event log that this process has seen. It falls only when the log "
    "itself was lost: its epoch changes then.",
)
GAPS = Family(
    "tocsin_alert_log_gaps_total",
    "counter",
    "Gaps found in the event log. Any at all is damage, and streams end there.",
)
KEPT = Family(
    "tocsin_alert_log_kept_bytes",
    "gauge",
    "The newest events, as they are kept in memory for all subscribers together.",
)
SUBSCRIBERS = Family("tocsin_alert_subscribers", "gauge", "Streams that are open.")
LAG = Family(
    "tocsin_alert_subscriber_lag_revisions",
    "gauge",
    "How many revisions the subscriber furthest behind has yet to be sent.",
)


@dataclass(frozen=True, slots=True)
class StreamMeasures:
    """Reads the broadcast."""

    broadcast: Broadcast

    @property
    def families(self) -> tuple[Family, ...]:
        return HEAD, GAPS, KEPT, SUBSCRIBERS, LAG

    def readings(self) -> Iterator[Reading]:
        broadcast = self.broadcast
        yield HEAD.of(broadcast.head)
        yield GAPS.of(broadcast.gaps_found)
        yield KEPT.of(broadcast.kept_bytes)
        yield SUBSCRIBERS.of(broadcast.subscribers)
        yield LAG.of(broadcast.longest_lag)
