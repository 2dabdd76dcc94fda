"""Times that come again, as they are written. `router/recurrence.py` computes them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class RecurrenceForm(StrEnum):
    """How it is written."""

    CRON = "cron"
    ON_CALENDAR = "on_calendar"


@dataclass(frozen=True, slots=True)
class Recurrence:
    """An expression of that form, in the zone of that name."""

    form: RecurrenceForm
    expression: str
    time_zone: str
