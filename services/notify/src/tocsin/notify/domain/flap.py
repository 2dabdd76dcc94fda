"""Flapping: a key that is raised again and again becomes one notice, and one at its end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID


@dataclass(frozen=True, slots=True)
class FlapRule:
    """A key flaps from its `raises`th raise within `window` on, until none came for `calm`.

    `raises` of 0 means never.
    """

    raises: int
    window: timedelta
    calm: timedelta


NEVER_FLAPPING: Final = FlapRule(0, timedelta(hours=1), timedelta(hours=1))


@dataclass(frozen=True, slots=True)
class Flap:
    """What is remembered of a key: its latest raises, at most 100, and whether it flaps.

    `subject_id` is set while it does: the two notices are told under it.
    """

    host_id: str
    kind: str
    dedup_key: str
    raise_times: tuple[datetime, ...] = ()
    subject_id: UUID | None = None
    until: datetime | None = None
