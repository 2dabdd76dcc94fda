"""A machine whose backups are watched, and the signs of life it gives."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta


class Profile(IntEnum):
    """How the silence of a host is judged. The numbers are those of the contract."""

    SERVER = 1
    LAPTOP = 2
    EPHEMERAL = 3


@dataclass(frozen=True, slots=True)
class HostSpec:
    """What is put of a host. `name` is empty when people know it by its id."""

    host_id: str
    name: str
    labels: Mapping[str, str]
    profile: Profile = Profile.SERVER
    offline_after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Signs:
    """The signs of life of a host, by the server's clock.

    Every time only grows. `first_heartbeat_time` begins the watch of a host that named no
    `offline_after`. `skew` is how far its clock was ahead when it last told its own time.
    """

    last_heard_time: datetime | None = None
    first_heartbeat_time: datetime | None = None
    skew: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Host:
    """One entry of the host registry. Times are of the server's clock."""

    spec: HostSpec
    create_time: datetime
    update_time: datetime
    retire_time: datetime | None = None
    signs: Signs = Signs()

    @property
    def host_id(self) -> str:
        return self.spec.host_id
