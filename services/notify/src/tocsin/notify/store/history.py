"""The events that were taken in, read again in their order."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tocsin.notify.store.documents import from_document

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

    from tocsin.common.postgres.engine import Database
    from tocsin.notify.domain.notification import Notification

_PAGE = 500

# From 101 on they are notify's own messages.
_BOUNDS = """
SELECT coalesce(min(sequence), 0) AS first, coalesce(max(sequence), -1) AS last,
       count(*) AS count
  FROM (SELECT sequence, receive_time FROM inbox_events
         WHERE document IS NOT NULL AND type < 101
         ORDER BY sequence DESC LIMIT $2) latest
 WHERE receive_time >= $1
"""

_READ = """
SELECT sequence, document::text FROM inbox_events
 WHERE sequence >= $1 AND sequence <= $2 AND document IS NOT NULL AND type < 101
 ORDER BY sequence LIMIT $3
"""


class History:
    """Reads what the inbox keeps.

    Every method raises UnavailableError when the database does not answer.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def bounds(self, since: datetime, most: int) -> tuple[int, int, bool]:
        """Return the first and the last place of the latest events since then, at most `most`.

        And whether there are more of them. The last is before the first when there are none.
        """
        async with self._database.connection() as connection:
            row = await connection.fetchrow(_BOUNDS, since, most + 1)
        is_cut = row["count"] > most
        return row["first"] + is_cut, row["last"], is_cut

    async def between(self, first: int, last: int) -> AsyncIterator[Notification]:
        """Yield the events from one place to another, both included, in their order.

        No connection is kept meanwhile.
        """
        while first <= last:
            async with self._database.connection() as connection:
                rows = await connection.fetch(_READ, first, last, _PAGE)
            for row in rows:
                yield from_document(json.loads(row["document"]))
            if len(rows) < _PAGE:
                return
            first = rows[-1]["sequence"] + 1
