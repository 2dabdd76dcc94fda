"""Protections of the alert service as plain values. Stub types stop here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING

from tocsin.notify.domain.notice import ProofLine

if TYPE_CHECKING:
    from datetime import datetime
    from typing import Literal

    from tocsin.api.alert.v1.backup_pb2 import Protection


@dataclass(frozen=True, slots=True)
class Protected:
    """How one source group stands. `alert_ids` are the alerts that stand for it or its host."""

    line: ProofLine
    is_late: bool
    alert_ids: frozenset[str]


def protected_of(protection: Protection) -> Protected:
    """Read how one source group stands."""
    group = protection.source_group
    last_good = _time(protection, "last_good_backup_time")
    return Protected(
        line=ProofLine(
            host_name=protection.host_name or group.host_id,
            source_group=group.name or group.source_group_id,
            last_good_time=last_good,
            age=None if last_good is None else protection.age.ToTimedelta(),
            objective=group.objective.ToTimedelta() if group.HasField("objective") else None,
            next_due_time=_time(protection, "next_due_time"),
            open_alerts=len(protection.open_alerts),
        ),
        is_late=protection.objective_multiple > 0,
        alert_ids=frozenset(alert.alert_id for alert in protection.open_alerts),
    )


def _time(
    protection: Protection, name: Literal["last_good_backup_time", "next_due_time"]
) -> datetime | None:
    if not protection.HasField(name):
        return None
    time: datetime = getattr(protection, name).ToDatetime(tzinfo=UTC)
    return time
