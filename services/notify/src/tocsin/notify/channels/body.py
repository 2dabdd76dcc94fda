"""The whole message as plain text, for a mail. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.notify.channels.facts import facts
from tocsin.notify.channels.text import headline, readable_lines
from tocsin.notify.channels.words import words
from tocsin.notify.domain.notification import Notification

if TYPE_CHECKING:
    from tocsin.notify.domain.notice import Message

_CHARACTERS = 100_000


def body(message: Message) -> str:
    """Return all of it, many lines."""
    if isinstance(message, Notification):
        parts = [headline(message), _table(message)]
        if message.alert.message:
            parts.append("\n".join(readable_lines(message.alert.message)))
    else:
        told = words(message)
        parts = [told.title, "\n".join(told.fitted(_CHARACTERS))]
    return "\n\n".join(parts) + "\n"


def _table(notification: Notification) -> str:
    rows = facts(notification)
    width = max(len(name) for name, _ in rows) + 1
    return "\n".join(f"{name + ':':<{width}} {text}" for name, text in rows)
