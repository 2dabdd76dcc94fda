"""Observations: what an orchestrator saw, and who reports it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from tocsin.alert.domain.alert import NO_LABELS, NOTHING_NAMED, Subject

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from tocsin.alert.domain.alert import Severity
    from tocsin.alert.domain.key import Key


class Failure(NamedTuple):
    """Something was seen to be wrong: a tuple, as Alert is.

    `cause` is empty when it is not known. `message` is at most 16 KiB of UTF-8.
    """

    key: Key
    observe_time: datetime
    severity: Severity
    message: str = ""
    cause: str = ""
    labels: Mapping[str, str] = NO_LABELS
    subject: Subject = NOTHING_NAMED


@dataclass(frozen=True, slots=True)
class Success:
    """The thing that fails under this key was seen to work.

    `message` is at most 4,096 characters.
    """

    key: Key
    observe_time: datetime
    message: str = ""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: the proven identity, whom it says it acts for, and its trace.

    `is_person`: what it changes belongs into the audit trail. `is_bound`: it may speak of some
    hosts only.
    """

    actor: str
    on_behalf_of: str = ""
    traceparent: str = ""
    is_person: bool = False
    is_bound: bool = False
