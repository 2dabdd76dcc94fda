"""What a subscription hands out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tocsin.api.alert.v1.alert_pb2 import Alert
    from tocsin.api.alert.v1.event_pb2 import AlertEvent, Position


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """One event. `synthetic` marks one that was made by comparing with a snapshot."""

    event: AlertEvent
    synthetic: bool = False


@dataclass(frozen=True, slots=True)
class StreamBatch:
    """What came in one piece: store `position` in one transaction with what becomes of `events`.

    `position` stands after all of `events`, which may be none. `caught_up` says that this was the
    end of the log when it was sent. `snapshot` is filled only in the first batch of
    `on_first="snapshot_known"`: the alerts that were not resolved then, to be remembered as known.
    """

    events: tuple[StreamEvent, ...]
    position: Position
    caught_up: bool
    snapshot: tuple[Alert, ...] = ()
