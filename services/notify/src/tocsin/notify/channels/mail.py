"""The message as a mail. Pure.

All mails about one alert make one thread: the mail that tells of its raising has a Message-ID made
from the alert, and the others refer to it. The subject stays the same for as long as the alert
lives, since mail programs split threads where it changes; the first line says what happened. The
two notices about a key that flaps make a thread too.
"""

from __future__ import annotations

from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import TYPE_CHECKING

from tocsin.notify.channels.body import body
from tocsin.notify.channels.text import headline, topic
from tocsin.notify.domain.notice import FlapNotice
from tocsin.notify.domain.notification import EventType, Notification, Severity

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from tocsin.notify.domain.channel import EmailConfig
    from tocsin.notify.domain.notice import Message

_SUBJECT_CHARACTERS = 200
# Not every server takes 8-bit content (RFC 6152).
_POLICY = SMTP.clone(cte_type="7bit")


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a mail stands: under which id, in which thread (None: in none), and as a reply?"""

    identity: UUID
    thread: UUID | None
    is_reply: bool


def mail(message: Message, channel_id: UUID, config: EmailConfig, now: datetime) -> EmailMessage:
    """Write the mail. `now` becomes its Date; all else is the same at every attempt."""
    domain = config.from_address.rpartition("@")[2]
    place = _place(message)
    written = EmailMessage(policy=_POLICY)
    written["From"] = config.from_address
    written["To"] = ", ".join(config.to_addresses)
    written["Subject"] = _subject(message, is_reply=place.is_reply)
    written["Date"] = format_datetime(now)
    written["Message-ID"] = _message_id(place.identity, channel_id, domain)
    if place.thread is not None and place.thread != place.identity:
        first = _message_id(place.thread, channel_id, domain)
        written["In-Reply-To"] = first
        written["References"] = first
    written["Auto-Submitted"] = "auto-generated"
    if _is_urgent(message):
        written["Importance"] = "high"
    written["X-Tocsin-Event-Id"] = str(message.event_id)
    written["X-Tocsin-Event-Type"] = message.event_type
    if isinstance(message, Notification):
        written["X-Tocsin-Alert-Id"] = str(message.alert.alert_id)
    written.set_content(body(message))
    return written


def _place(message: Message) -> _Place:
    if isinstance(message, FlapNotice):
        return _Place(message.event_id, message.subject_id, is_reply=False)
    if not isinstance(message, Notification):
        return _Place(message.event_id, None, is_reply=False)
    alert_id, is_raised = message.alert.alert_id, message.type is EventType.RAISED
    # A synthetic one may come after others, when the alert service was restored from a backup,
    # and a mailbox drops what bears an id that it has seen.
    is_first = is_raised and not message.synthetic
    return _Place(alert_id if is_first else message.event_id, alert_id, is_reply=not is_raised)


def _message_id(identity: UUID, channel_id: UUID, domain: str) -> str:
    return f"<{identity}.{channel_id}@{domain}>"


def _is_urgent(message: Message) -> bool:
    return (
        isinstance(message, Notification)
        and message.alert.severity is Severity.CRITICAL
        and message.type is EventType.RAISED
    )


def _subject(message: Message, *, is_reply: bool) -> str:
    about = _about(message)
    if len(about) > _SUBJECT_CHARACTERS:
        about = about[: _SUBJECT_CHARACTERS - 1] + "…"
    # EmailMessage would decode an encoded word (RFC 2047), line breaks in it included.
    harmless = about.replace("=?", "= ?")
    return f"{'Re: ' if is_reply else ''}[Tocsin] {harmless}"


def _about(message: Message) -> str:
    if isinstance(message, FlapNotice):
        return f"Flapping: {topic(message)}"
    if not isinstance(message, Notification):
        return headline(message)
    return "Test" if message.is_test else topic(message.alert)
