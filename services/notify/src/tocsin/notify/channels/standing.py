"""How the thing stands that a message tells of, for far sides that keep its state. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

from tocsin.notify.channels.words import words
from tocsin.notify.domain.notice import FlapNotice, NoticeType, Proof
from tocsin.notify.domain.notification import AlertStatus, EventType, Notification

if TYPE_CHECKING:
    from tocsin.notify.domain.notice import Message


class Standing(Enum):
    """What the far side is to take it for."""

    WRONG = auto()
    SEEN_TO = auto()
    RIGHT = auto()


@dataclass(frozen=True, slots=True)
class Subject:
    """What a message tells of. `key` is the same in all that is told of it."""

    key: str
    standing: Standing


def subject_of(message: Message) -> Subject:
    """Return what a message tells of, and how that stands after it."""
    match message:
        case Notification():
            return _alert(message)
        case FlapNotice():
            flaps = message.type is NoticeType.FLAPPING
            key = f"flapping-{message.subject_id}"
            return Subject(key, Standing.WRONG if flaps else Standing.RIGHT)
        case Proof():
            is_well = words(message).is_over
            key = f"proof-{message.route_name}"
            return Subject(key, Standing.RIGHT if is_well else Standing.WRONG)
        case _:
            return Subject(str(message.event_id), Standing.WRONG)


def _alert(notification: Notification) -> Subject:
    alert = notification.alert
    if notification.is_test:
        return Subject(f"channel-test-{alert.dedup_key}", Standing.WRONG)
    key = str(alert.alert_id)
    if alert.status is AlertStatus.RESOLVED:
        return Subject(key, Standing.RIGHT)
    if notification.type is EventType.ACKNOWLEDGED:
        return Subject(key, Standing.SEEN_TO)
    return Subject(key, Standing.WRONG)
