"""The notification that a channel is tried with. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.notify.domain.notification import (
    AlertStatus,
    AlertView,
    EventType,
    Notification,
    Severity,
)

if TYPE_CHECKING:
    from datetime import datetime

    from tocsin.common.ids import NewId
    from tocsin.notify.domain.channel import Channel

_HOST = "tocsin-test"


def trial(channel: Channel, now: datetime, new_id: NewId) -> Notification:
    """Return a notification that tells of no alert. Its ids are new at every call."""
    alert = AlertView(
        alert_id=new_id(),
        host_id=_HOST,
        host_name=_HOST,
        kind="channel_test",
        dedup_key=str(channel.channel_id),
        severity=Severity.INFO,
        status=AlertStatus.OPEN,
        message=f"Somebody tries the channel {channel.display_name}. Nothing is wrong.",
        cause="",
        labels={},
        occurrences=1,
        raise_time=now,
        last_seen_time=now,
        acknowledge_time=None,
        acknowledged_by="",
        acknowledge_note="",
        acknowledge_expire_time=None,
        resolve_time=None,
        resolved_by="",
        resolve_reason=None,
        version=1,
        previous_alert_id=None,
    )
    return Notification(
        event_id=new_id(),
        type=EventType.RAISED,
        epoch=new_id(),
        revision=0,
        alert=alert,
        actor="tocsin-notify",
        on_behalf_of="",
        note="",
        occur_time=now,
        record_time=now,
        traceparent="",
        is_test=True,
    )
