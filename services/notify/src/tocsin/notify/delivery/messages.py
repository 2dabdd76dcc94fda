"""What the inbox keeps, as what a sender sends."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import structlog

from tocsin.notify.store.notice_documents import message_of

if TYPE_CHECKING:
    from uuid import UUID

    from tocsin.notify.domain.notice import Message

_log = structlog.get_logger(__name__)


def read_message(text: str, delivery_id: UUID) -> Message | None:
    """Return what a kept document tells, None when it cannot be read."""
    try:
        document: dict[str, Any] = json.loads(text)
        return message_of(document)
    except (KeyError, TypeError, ValueError):
        _log.exception("stored_message_unreadable", delivery_id=str(delivery_id))
        return None
