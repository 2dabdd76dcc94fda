"""Deliveries whose turn has come, to share out."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from support.notifications import ALERT, a_notification
from tocsin.notify.domain.notification import EventType, Severity
from tocsin.notify.domain.telling import Case, Telling

NOW = datetime(2026, 1, 31, 23, 0, tzinfo=UTC)
CHANNEL = UUID(int=1)


def case_of(
    number: int,
    severity: Severity = Severity.WARNING,
    type: EventType = EventType.RAISED,  # noqa: A002 - the field's name
    *,
    alert: dict[str, Any] | None = None,
    **changes: Any,
) -> Case:
    """Return first news of the alert of this number."""
    view = replace(ALERT, alert_id=UUID(int=number), severity=severity, **(alert or {}))
    occurred = NOW + timedelta(seconds=number)
    case = Case(
        delivery_id=UUID(int=1_000_000 + number),
        notification=a_notification(type, alert=view, occur_time=occurred),
        create_time=NOW,
        collapsed_count=0,
        telling=Telling(CHANNEL, view.alert_id, None, "", maybe_told=False, is_over=False),
    )
    return replace(case, **changes)
