"""The notice: a message of notify's own. It is kept in the inbox and delivered like an event.

A reminder is a Notification of the type REMINDER; the others are here. Each has an event_id, under
which every channel tells it at every attempt.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from tocsin.notify.domain.notification import EventType, Notification

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta
    from uuid import UUID

    from tocsin.notify.domain.notification import Severity

LISTED = 50
"""How many alerts a digest lists at most; of the others it says how many they are."""


class NoticeType(IntEnum):
    """What notify tells by itself. The numbers go on from those of EventType, in one column."""

    FLAPPING = 102
    STEADY = 103
    DIGEST = 104
    PROOF = 105

    @property
    def dotted(self) -> str:
        """The CloudEvents type, such as `notice.digest`."""
        return f"notice.{self.name.lower()}"


MessageType = EventType | NoticeType


def message_type(number: int) -> MessageType:
    """Return the type of that number. Raises ValueError."""
    return NoticeType(number) if number in set(NoticeType) else EventType(number)


@dataclass(frozen=True, slots=True)
class DigestLine:
    """One piece of news in a digest."""

    event_id: UUID
    type: EventType
    alert_id: UUID
    host_id: str
    host_name: str
    kind: str
    dedup_key: str
    severity: Severity
    message: str
    occur_time: datetime


@dataclass(frozen=True, slots=True)
class Digest:
    """Many pieces of news in one message, the worst first.

    `counts` are of all `total`: by type, kind and host (the 20 most frequent of each); `lines` are
    at most LISTED of them. `group` says what they share, empty for what a rate limit gathered.
    """

    event_id: UUID
    occur_time: datetime
    total: int
    lines: tuple[DigestLine, ...]
    counts: Mapping[str, Mapping[str, int]]
    worst: Severity
    group: str = ""
    type: NoticeType = NoticeType.DIGEST

    @property
    def event_type(self) -> str:
        """The CloudEvents type."""
        return self.type.dotted


@dataclass(frozen=True, slots=True)
class FlapNotice:
    """A key began to flap (FLAPPING), or has stopped (STEADY).

    `subject_id` is the same for both. `alert_id` is the alert of the key that is or was open last,
    `is_open` whether it is at this moment.
    """

    event_id: UUID
    type: NoticeType
    subject_id: UUID
    alert_id: UUID
    host_id: str
    host_name: str
    kind: str
    dedup_key: str
    severity: Severity
    raises: int
    window: timedelta
    is_open: bool
    occur_time: datetime

    @property
    def event_type(self) -> str:
        """The CloudEvents type."""
        return self.type.dotted


@dataclass(frozen=True, slots=True)
class ProofLine:
    """How one source group stands. Times are None and ages unknown when it has no good backup."""

    host_name: str
    source_group: str
    last_good_time: datetime | None
    age: timedelta | None
    objective: timedelta | None
    next_due_time: datetime | None
    open_alerts: int


@dataclass(frozen=True, slots=True)
class Proof:
    """How all backups stand, told even when all is well.

    `problem` says why nothing can be said, empty when it can: then `total` source groups were
    looked at, of which `late` are past their objective; `lines` are the worst of them first, at
    most 200.
    """

    event_id: UUID
    occur_time: datetime
    route_name: str
    total: int
    late: int
    open_alerts: int
    lines: tuple[ProofLine, ...]
    problem: str = ""
    type: NoticeType = NoticeType.PROOF

    @property
    def event_type(self) -> str:
        """The CloudEvents type."""
        return self.type.dotted


Message = Notification | Digest | FlapNotice | Proof
"""What a sender sends."""
