"""The silence: what is not told for a while. A maintenance window is one that comes again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime, timedelta
    from uuid import UUID

    from tocsin.notify.domain.matcher import Matcher
    from tocsin.notify.domain.recurrence import Recurrence


@dataclass(frozen=True, slots=True)
class Silence:
    """Holds back first news of what all of its matchers match.

    Without `recurrence` it is active from start_time to end_time. With one it is active for
    `duration` from each of its times on, between start_time and end_time (None: for ever).
    `expire_time` is when somebody ended it.
    """

    silence_id: UUID
    matchers: tuple[Matcher, ...]
    start_time: datetime
    end_time: datetime | None
    recurrence: Recurrence | None
    duration: timedelta | None
    author: str
    reason: str
    create_time: datetime
    created_by: str
    expire_time: datetime | None = None
    expired_by: str = ""
