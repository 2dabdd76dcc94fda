"""Whether the data of a source group is safe."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from tocsin.alert.domain.protection import Protection, ProtectionStatus
from tocsin.alert.engine.danger import last_good, multiple_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from uuid import UUID

    from tocsin.alert.domain.alert import Alert
    from tocsin.alert.domain.job import StreamState
    from tocsin.alert.domain.source_group import SourceGroup

MOST_ALERTS = 20


def protection_of(  # noqa: PLR0917
    group: SourceGroup,
    host_name: str,
    state: StreamState,
    next_due_time: datetime | None,
    open_alerts: Iterable[Alert],
    now: datetime,
) -> Protection:
    """Answer for one source group at `now`.

    `state` is that of its backups, `open_alerts` are all that stand for it or for its host's
    silence: the 20 worst are kept, the worst first, of equals the oldest.
    """
    age = max(now - last_good(state, group), timedelta(0))
    multiple = multiple_of(age, group.spec.objective)
    alerts = sorted(open_alerts, key=_worst_first)
    if state.last_success is None or multiple > 0:
        status = ProtectionStatus.UNPROTECTED
    else:
        status = ProtectionStatus.AT_RISK if alerts else ProtectionStatus.SAFE
    return Protection(
        source_group=group,
        host_name=host_name,
        status=status,
        last_good_backup_time=None if state.last_success is None else state.last_success[0],
        age=age,
        objective_multiple=multiple,
        next_due_time=next_due_time,
        open_alerts=tuple(alerts[:MOST_ALERTS]),
    )


def _worst_first(alert: Alert) -> tuple[int, datetime, UUID]:
    return (-alert.severity, alert.raise_time, alert.alert_id)
