"""Messages of notify's own go into the inbox as events do, and are delivered like them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tocsin.notify.store.notice_documents import message_document

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    import asyncpg

    from tocsin.notify.domain.notice import Message

# They bear the position of this moment; before the first event there is none.
_ADD = """
INSERT INTO inbox_events (event_id, epoch, revision, synthetic, type, alert_id, document,
                          receive_time)
SELECT $1, coalesce(p.epoch, '00000000-0000-0000-0000-000000000000'), coalesce(p.revision, 0),
       true, $2, $3, $4::text::jsonb, $5
  FROM (SELECT) one LEFT JOIN follower_position p ON true
RETURNING sequence
"""


async def add(
    connection: asyncpg.Connection, message: Message, alert_id: UUID, now: datetime
) -> int:
    """Put a message into the inbox and return its place in the order of all events.

    `alert_id` is what it is about: an alert, what flaps, or its own event_id.
    """
    document = json.dumps(message_document(message), ensure_ascii=False)
    sequence: int = await connection.fetchval(
        _ADD, message.event_id, message.type.value, alert_id, document, now
    )
    return sequence
