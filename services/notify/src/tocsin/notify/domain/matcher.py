"""The matcher: one condition on an event and its alert."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class MatchField(IntEnum):
    """What a matcher looks at. The numbers are those of the contract."""

    KIND = 1
    SEVERITY = 2
    HOST_ID = 3
    HOST_NAME = 4
    HOST_LABEL = 5
    LABEL = 6
    REPOSITORY_ID = 7
    SOURCE_GROUP_ID = 8
    SCHEDULE_ID = 9
    DEDUP_KEY = 10
    CAUSE = 11
    EVENT_TYPE = 12


class MatchOperator(IntEnum):
    """How a matcher compares. The numbers are those of the contract."""

    ANY_OF = 1
    NONE_OF = 2
    LIKE = 3
    NOT_LIKE = 4


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition. `label` names the label for HOST_LABEL and LABEL, else it is empty.

    For LIKE and NOT_LIKE `*` stands for any characters and `?` for one; there is no other magic.
    """

    field: MatchField
    operator: MatchOperator
    values: tuple[str, ...]
    label: str = ""


@dataclass(frozen=True, slots=True)
class GroupField:
    """A value that alerts of one group share."""

    field: MatchField
    label: str = ""
