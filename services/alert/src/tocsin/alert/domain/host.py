"""A machine whose backups are watched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class Host:
    """One entry of the host registry. `name` is empty when people know it by its id."""

    host_id: str
    name: str
    labels: Mapping[str, str]
    create_time: datetime
    update_time: datetime
