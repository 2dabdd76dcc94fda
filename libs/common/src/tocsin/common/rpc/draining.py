"""The end of a server: new calls are refused, and streams are told to go elsewhere."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from tocsin.common.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tocsin.common.errors import TocsinError
    from tocsin.common.rpc.caller import Peer

_MOMENT_SECONDS = 0.2
_QUIET_SECONDS = 0.05


def draining_error() -> UnavailableError:
    """Return the error of a call that meets a server which is stopping."""
    return UnavailableError(
        "This server is stopping. Try again: another one answers, or this one does once restarted.",
        reason="DRAINING",
        retry_after=timedelta(seconds=1),
    )


class Draining:
    """Whether the server is stopping, and the streams that must end when it does.

    gRPC's own stop waits for streams, and a stream has no end of its own.
    """

    def __init__(self) -> None:
        self.begun = False
        self._refused = 0
        self._streams: dict[asyncio.Task[object], Peer] = {}
        self._ended: dict[asyncio.Task[object], TocsinError] = {}

    async def begin(self) -> None:
        """Refuse new calls from now on, and end every stream with UNAVAILABLE (DRAINING).

        Streams that know of the end by themselves are given a moment for it.
        """
        self.begun = True
        if self._streams:
            await asyncio.wait(tuple(self._streams), timeout=_MOMENT_SECONDS)
        self.end_streams(lambda _: draining_error())

    def end_streams(self, why: Callable[[Peer], TocsinError | None]) -> None:
        """End each stream for which there is a reason to, with that error."""
        for task, peer in tuple(self._streams.items()):
            error = why(peer)
            if error is not None and task not in self._ended:
                self._ended[task] = error
                task.cancel()

    def refuse_if_begun(self) -> None:
        """Raise UnavailableError (DRAINING) once draining has begun."""
        if self.begun:
            self._refused += 1
            raise draining_error()

    async def until_quiet(self, within: timedelta) -> None:
        """Return once no new call has come for a moment, or when the time is over.

        Calls that came over the wire but not yet to a handler would otherwise be told CANCELLED
        by gRPC, which no client takes for a reason to try again.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within.total_seconds()
        seen = -1
        while seen != self._refused and loop.time() < deadline:
            seen = self._refused
            await asyncio.sleep(_QUIET_SECONDS)

    @contextmanager
    def ends_this_stream(self, peer: Peer) -> Iterator[None]:
        """End what runs inside, for a peer, with the error that `end_streams` gives.

        Any other cancellation passes through as it is.
        """
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a stream runs in a task")
        self._streams[task] = peer
        try:
            yield
        except asyncio.CancelledError:
            if task not in self._ended:
                raise
            task.uncancel()
            raise self._ended[task] from None
        finally:
            self._streams.pop(task, None)
            self._ended.pop(task, None)
