"""Relays the event log to NATS JetStream, each event once: for very many subscribers.

It keeps nothing of its own. What it wrote last, the stream itself says; so it may be killed at any
moment, and a second one that runs beside it stands by: the server takes each message only behind
the one that its writer knows.
"""

from __future__ import annotations

import asyncio
import logging
import random
from datetime import timedelta
from typing import TYPE_CHECKING

from nats.errors import Error as NatsError

from tocsin.client.nats_stream import StreamLostError
from tocsin.client.subscription import EventSubscription
from tocsin.common.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import Callable

    import grpc.aio

    from tocsin.client.nats_stream import AlertStream, StreamEnd

_log = logging.getLogger(__name__)

_BACKOFF = Backoff(first=timedelta(milliseconds=200), ceiling=timedelta(seconds=5))
_HEEDED_SECONDS = 1.0
_AGAIN = (StreamLostError, NatsError, TimeoutError, OSError)


class NatsRelay:
    """Follows the event log of an alert service and appends it to a stream, for ever.

    An empty stream begins with the oldest event that the log keeps. When the log was replaced or
    compacted past the end of the stream, the alerts that the stream left open are compared with
    those that stand, and the difference is appended as synthetic events.
    """

    def __init__(
        self,
        alerts: grpc.aio.Channel,
        stream: AlertStream,
        *,
        backoff: Backoff = _BACKOFF,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._alerts = alerts
        self._stream = stream
        self._backoff = backoff
        self._chance = chance
        self._failures = 0

    async def run(self) -> None:
        """Relay until cancelled.

        Raises StreamUnusableError, and what an EventSubscription raises that no repetition heals.
        """
        work = asyncio.create_task(self._run(), name="nats-relay")
        try:
            await asyncio.shield(work)
        finally:
            while not work.done():  # nats-py takes a cancellation for a timeout, and goes on
                work.cancel()
                await asyncio.wait({work}, timeout=_HEEDED_SECONDS)

    async def _run(self) -> None:
        while True:
            try:
                await self._follow()
            except _AGAIN as error:
                _leave_if_cancelled()
                self._failures += 1
                pause = self._backoff.delay(self._failures, self._chance())
                _log.warning(
                    "The stream is looked at again in %.1f s: %s",
                    pause.total_seconds(),
                    str(error) or type(error).__name__,
                )
                await asyncio.sleep(pause.total_seconds())

    async def _follow(self) -> None:
        """Go on from where the stream ends, until it ends elsewhere."""
        end = await self._stream.end()
        if await self._append_from(end, compared=False):
            # What the stream has told is needed only now, and may be much.
            await self._append_from(await self._stream.end(), compared=True)

    async def _append_from(self, end: StreamEnd, *, compared: bool) -> bool:
        """Append what follows. Return when a comparison is needed and was not prepared."""
        known = await self._stream.open_alerts() if compared else {}
        subscription = EventSubscription(
            self._alerts, after=end.position, on_first="oldest", known=known.values()
        )
        async with subscription:
            async for batch in subscription:
                if not compared and subscription.counts.snapshots:
                    return True
                end = await self._stream.append(end, batch)
                self._failures = 0
        return False


def _leave_if_cancelled() -> None:
    """Raise CancelledError when this task was cancelled, whatever nats-py made of that."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
