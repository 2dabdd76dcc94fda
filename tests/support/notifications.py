"""Notifications and channels to try senders with."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Any
from uuid import UUID, uuid4

from tocsin.notify.channels.signature import new_secret
from tocsin.notify.domain.channel import (
    Channel,
    ChannelConfig,
    EmailConfig,
    EmailSecurity,
    Secrets,
    WebhookConfig,
    type_of,
)
from tocsin.notify.domain.notification import (
    AlertStatus,
    AlertView,
    EventType,
    Notification,
    Severity,
)

AT = datetime(2026, 1, 31, 22, 15, tzinfo=UTC)
LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))

SECRET = new_secret(lambda count: b"\x07" * count)
FORMER_SECRET = new_secret(lambda count: b"\x08" * count)
PASSWORD = "correct horse battery"

ALERT = AlertView(
    alert_id=UUID("0190b5a8-0000-7000-8000-00000000a1e7"),
    host_id="web-1",
    host_name="Web server",
    kind="backup_failed",
    dedup_key="home",
    severity=Severity.WARNING,
    status=AlertStatus.OPEN,
    message="repository is locked by pid 4711",
    cause="locked",
    labels={"site": "Berlin"},
    occurrences=1,
    raise_time=AT,
    last_seen_time=AT,
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


def a_notification(
    type: EventType = EventType.RAISED,  # noqa: A002 - the field's name
    *,
    alert: AlertView = ALERT,
    **changes: Any,
) -> Notification:
    """Return a notification about ALERT, or about a changed copy of it."""
    notification = Notification(
        event_id=uuid4(),
        type=type,
        epoch=UUID(int=5),
        revision=42,
        alert=alert,
        actor="anonymous",
        on_behalf_of="",
        note="",
        occur_time=AT,
        record_time=AT,
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )
    return replace(notification, **changes)


def a_channel(config: ChannelConfig, **changes: Any) -> Channel:
    """Return an enabled channel of that configuration."""
    channel = Channel(
        channel_id=UUID("0190b5a8-0000-7000-8000-00000000c4a7"),
        display_name="on call",
        type=type_of(config),
        config=config,
        enabled=True,
        disabled_reason="",
        version=1,
        create_time=AT,
        update_time=AT,
        has_secrets=True,
    )
    return replace(channel, **changes)


def a_webhook(url: str) -> Channel:
    return a_channel(WebhookConfig(url))


def a_mailbox(
    port: int,
    security: EmailSecurity = EmailSecurity.STARTTLS,
    *,
    to: tuple[str, ...] = ("ops@example.org",),
    username: str = "tocsin",
) -> Channel:
    """Return a channel that mails through a server on 127.0.0.1."""
    return a_channel(EmailConfig("127.0.0.1", port, security, username, "tocsin@example.com", to))


WEBHOOK_SECRETS = Secrets(signing_secret=SECRET)
MAIL_SECRETS = Secrets(password=PASSWORD)
