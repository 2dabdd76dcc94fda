"""Whether the data of a source group is safe."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from tocsin.alert.domain.alert import Alert
    from tocsin.alert.domain.source_group import SourceGroup


class ProtectionStatus(IntEnum):
    """The short answer. The numbers are those of the contract."""

    SAFE = 1
    AT_RISK = 2
    UNPROTECTED = 3


@dataclass(frozen=True, slots=True)
class Protection:
    """The answer for one source group at one moment. See the comments of `backup.proto`."""

    source_group: SourceGroup
    host_name: str
    status: ProtectionStatus
    last_good_backup_time: datetime | None
    age: timedelta
    objective_multiple: int
    next_due_time: datetime | None
    open_alerts: tuple[Alert, ...]
