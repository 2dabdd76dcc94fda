"""What is backed up together on one host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class SourceGroupSpec:
    """What is put of a source group. Without an objective its alerts do not rise."""

    source_group_id: str
    host_id: str
    repository_id: str = ""
    name: str = ""
    objective: timedelta | None = None


@dataclass(frozen=True, slots=True)
class SourceGroup:
    """One entry of the registry. Times are of the server's clock."""

    spec: SourceGroupSpec
    create_time: datetime
    update_time: datetime
    retire_time: datetime | None = None
