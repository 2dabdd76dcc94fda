"""What an observation did. The numbers are those of the contract."""

from __future__ import annotations

from enum import IntEnum


class RaiseOutcome(IntEnum):
    """What a failure did."""

    RAISED = 1
    TOUCHED = 2
    STALE = 3


class ClearOutcome(IntEnum):
    """What a success did."""

    RESOLVED = 1
    NOTHING_OPEN = 2
    STALE = 3
