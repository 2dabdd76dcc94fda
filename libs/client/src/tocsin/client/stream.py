"""One WatchEvents call: a task reads it into a bounded queue, and nobody else touches it.

A read that is given up on timeout cancels the whole call in grpc.aio, so the timeout stands on the
queue. While the queue is full the task does not read, and HTTP/2 holds the server back.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import grpc
import grpc.aio

from tocsin.api.alert.v1.alert_service_pb2 import WatchEventsResponse
from tocsin.client.errors import CallCancelledError, CallError, UnavailableError, from_rpc_error

if TYPE_CHECKING:
    from datetime import timedelta

    from tocsin.api.alert.v1.alert_service_pb2 import WatchEventsRequest

_QUEUE_MESSAGES = 8  # of at most 1 MiB or so each


class EventStream:
    """The messages of one call, until it fails, falls silent or is closed."""

    def __init__(
        self,
        call: grpc.aio.UnaryStreamCall[WatchEventsRequest, WatchEventsResponse],
        silence: timedelta,
    ) -> None:
        self._call = call
        self._silence = silence.total_seconds()
        self._queue: asyncio.Queue[WatchEventsResponse | CallError] = asyncio.Queue(_QUEUE_MESSAGES)
        self._reader = asyncio.create_task(self._read(), name="tocsin-event-stream")

    async def next(self) -> WatchEventsResponse:
        """Return the next message. Cancelling this loses none.

        Raises CallError once everything that came before the failure was returned; a stream that
        says nothing for `silence` has failed with UnavailableError.
        """
        try:
            async with asyncio.timeout(self._silence):
                item = await self._queue.get()
        except TimeoutError:
            raise UnavailableError(
                f"The event stream was silent for {self._silence:g} s."
            ) from None
        if isinstance(item, CallError):
            raise item
        return item

    async def close(self) -> None:
        """End the call and wait until its reader is gone. Wakes a waiting `next`."""
        self._call.cancel()
        self._reader.cancel()
        await asyncio.wait([self._reader])
        if self._queue.empty():
            self._queue.put_nowait(UnavailableError("The event stream was closed."))

    async def _read(self) -> None:
        await self._queue.put(await self._read_to_the_end())

    async def _read_to_the_end(self) -> CallError:
        try:
            while isinstance(message := await self._call.read(), WatchEventsResponse):
                await self._queue.put(message)
        except grpc.RpcError as error:
            return from_rpc_error(error)
        except asyncio.CancelledError:
            if _is_told_to_stop():
                raise
            return CallCancelledError("The channel was closed under the event stream.")
        return UnavailableError("The server ended the event stream.")


def _is_told_to_stop() -> bool:
    """Whether a CancelledError is for this task: grpc.aio raises it for a cancelled call too."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
