"""The notification as a mail message. Pure.

All mails about one alert make one thread: the mail that tells of its raising has a Message-ID made
from the alert, and the others refer to it. The subject stays the same for as long as the alert
lives, since mail programs split threads where it changes; the first line says what happened.
"""

from __future__ import annotations

from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import TYPE_CHECKING

from tocsin.notify.channels.text import body, topic
from tocsin.notify.domain.notification import EventType, Severity

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from tocsin.notify.domain.channel import EmailConfig
    from tocsin.notify.domain.notification import Notification

_SUBJECT_CHARACTERS = 200
# Not every server takes 8-bit content (RFC 6152).
_POLICY = SMTP.clone(cte_type="7bit")


def mail(
    notification: Notification, channel_id: UUID, config: EmailConfig, now: datetime
) -> EmailMessage:
    """Write the mail. `now` becomes its Date; all else is the same at every attempt."""
    alert = notification.alert
    domain = config.from_address.rpartition("@")[2]
    first = _message_id(alert.alert_id, channel_id, domain)
    is_raised = notification.type is EventType.RAISED
    # A synthetic one may come after others, when the alert service was restored from a backup,
    # and a mailbox drops what bears an id that it has seen.
    is_first = is_raised and not notification.synthetic
    message = EmailMessage(policy=_POLICY)
    message["From"] = config.from_address
    message["To"] = ", ".join(config.to_addresses)
    message["Subject"] = _subject(notification, is_reply=not is_raised)
    message["Date"] = format_datetime(now)
    if is_first:
        message["Message-ID"] = first
    else:
        message["Message-ID"] = _message_id(notification.event_id, channel_id, domain)
        message["In-Reply-To"] = first
        message["References"] = first
    message["Auto-Submitted"] = "auto-generated"
    if alert.severity is Severity.CRITICAL and is_raised:
        message["Importance"] = "high"
    message["X-Tocsin-Event-Id"] = str(notification.event_id)
    message["X-Tocsin-Event-Type"] = notification.event_type
    message["X-Tocsin-Alert-Id"] = str(alert.alert_id)
    message.set_content(body(notification))
    return message


def _message_id(identity: UUID, channel_id: UUID, domain: str) -> str:
    return f"<{identity}.{channel_id}@{domain}>"


def _subject(notification: Notification, *, is_reply: bool) -> str:
    if notification.is_test:
        return "[Tocsin] Test"
    about = topic(notification.alert)
    if len(about) > _SUBJECT_CHARACTERS:
        about = about[: _SUBJECT_CHARACTERS - 1] + "…"
    # EmailMessage would decode an encoded word (RFC 2047), line breaks in it included.
    harmless = about.replace("=?", "= ?")
    return f"{'Re: ' if is_reply else ''}[Tocsin] {harmless}"
