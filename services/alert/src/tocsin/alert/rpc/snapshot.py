"""All alerts that are not resolved as of one position, kept for a subscriber of any pace."""

from __future__ import annotations

import struct
from contextlib import aclosing
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING

from tocsin.alert.eventlog import log
from tocsin.alert.eventlog.frames import alert_frame
from tocsin.alert.store.open_alerts import open_alerts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tocsin.alert.domain.alert import Alert
    from tocsin.alert.domain.event import Position
    from tocsin.alert.eventlog.filter import EventFilter
    from tocsin.common.postgres.engine import Database

_MEMORY_BYTES = 8 * 2**20
_LENGTH = struct.Struct("<I")


class Spool:
    """Frames of alerts: in memory while they are few, then in a file without a name."""

    def __init__(self, memory_bytes: int = _MEMORY_BYTES) -> None:
        self._file = SpooledTemporaryFile(max_size=memory_bytes)  # noqa: SIM115 -- see close

    def add(self, frame: bytes) -> None:
        self._file.write(_LENGTH.pack(len(frame)) + frame)

    def pages(self, limit: int, max_bytes: int) -> Iterator[tuple[bytes, ...]]:
        """Yield all of them: at most `limit` at a time, no more once they reach `max_bytes`."""
        self._file.seek(0)
        page: list[bytes] = []
        size = 0
        while prefix := self._file.read(_LENGTH.size):
            page.append(self._file.read(*_LENGTH.unpack(prefix)))
            size += len(page[-1])
            if len(page) >= limit or size >= max_bytes:
                yield tuple(page)
                page, size = [], 0
        if page:
            yield tuple(page)

    def close(self) -> None:
        self._file.close()


async def take_snapshot(
    database: Database,
    wanted: EventFilter,
    encode_alert: Callable[[Alert], bytes],
    spool: Spool,
) -> Position:
    """Read the alerts that are not resolved into a spool and return the position they are of.

    The transaction, and the snapshot of the database that it holds, ends with the reading: no
    subscriber can hold it open. `wanted.types` does not narrow it.
    """
    async with (
        database.connection() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        position = await log.head(connection)
        batches = open_alerts(
            connection,
            min_severity=wanted.min_severity,
            host_ids=wanted.host_ids,
            kinds=wanted.kinds,
        )
        async with aclosing(batches):
            async for batch in batches:
                for alert in batch:
                    spool.add(alert_frame(encode_alert(alert)))
    return position
