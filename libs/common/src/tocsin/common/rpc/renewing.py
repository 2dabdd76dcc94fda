"""Channels that are opened anew when the files of their certificates change.

gRPC reads a client's certificate once. Here each call looks at the files: after a change it begins
on a new connection, while those under way go on over the former one. That one is closed at the
change after this, so that a stream outlives one renewal; the age of a connection ends it long
before there is another.
"""

from __future__ import annotations

import asyncio
import logging
from threading import Lock
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import grpc
import grpc.aio

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

_log = logging.getLogger(__name__)

Channel = TypeVar("Channel", grpc.aio.Channel, grpc.Channel)


class Renewal(Generic[Channel]):
    """The present channel of a target, and the one before it.

    `opened` opens one and may raise ValueError for files that cannot be used, as in the middle of
    a renewal: then the former ones hold. `stamp` changes with the files.
    """

    def __init__(
        self,
        opened: Callable[[], Channel],
        stamp: Callable[[], object],
        close: Callable[[Channel], None],
    ) -> None:
        """Open the first one. Raises what `opened` raises."""
        self._opened: Callable[[], Channel] = opened
        self._stamp = stamp
        self._close: Callable[[Channel], None] = close
        self._lock = Lock()
        self._seen = stamp()
        self.current: Channel = opened()
        self.former: Channel | None = None

    def newest(self) -> Channel:
        """Return the channel that a call is to begin on."""
        if self._stamp() != self._seen:
            with self._lock:
                self._renew()
        return self.current

    def _renew(self) -> None:
        seen = self._stamp()
        if seen == self._seen:  # another thread was here
            return
        self._seen = seen
        try:
            opened = self._opened()
        except ValueError as error:
            _log.warning("The certificates cannot be used, and the former ones hold: %s", error)
            return
        if self.former is not None:
            self._close(self.former)
        self.former, self.current = self.current, opened


class _Method(Generic[Channel]):
    """A method of whichever channel is the newest when it is called."""

    __slots__ = ("_arguments", "_kind", "_made", "_options", "_renewal")

    def __init__(
        self, renewal: Renewal[Channel], kind: str, arguments: Any, options: dict[str, Any]
    ) -> None:
        self._renewal: Renewal[Channel] = renewal
        self._kind = kind
        self._arguments = arguments
        self._options = options
        self._made: tuple[Channel, Any] | None = None  # both at once, for threads share it

    def _now(self) -> Any:
        channel, made = self._renewal.newest(), self._made
        if made is None or made[0] is not channel:
            method = getattr(channel, self._kind)(*self._arguments, **self._options)
            self._made = made = (channel, method)
        return made[1]

    def __call__(self, *request: Any, **options: Any) -> Any:
        return self._now()(*request, **options)

    def with_call(self, *request: Any, **options: Any) -> Any:
        return self._now().with_call(*request, **options)

    def future(self, *request: Any, **options: Any) -> Any:
        return self._now().future(*request, **options)


class _Methods(Generic[Channel]):
    """The four kinds of methods, on the newest channel."""

    _renewal: Renewal[Channel]

    def unary_unary(self, *method: Any, **options: Any) -> Any:
        return _Method(self._renewal, "unary_unary", method, options)

    def unary_stream(self, *method: Any, **options: Any) -> Any:
        return _Method(self._renewal, "unary_stream", method, options)

    def stream_unary(self, *method: Any, **options: Any) -> Any:
        return _Method(self._renewal, "stream_unary", method, options)

    def stream_stream(self, *method: Any, **options: Any) -> Any:
        return _Method(self._renewal, "stream_stream", method, options)


class RenewingAsyncChannel(_Methods[grpc.aio.Channel], grpc.aio.Channel):
    """A channel of asyncio whose certificates may change under it."""

    def __init__(self, opened: Callable[[], grpc.aio.Channel], stamp: Callable[[], object]) -> None:
        self._closing = set[asyncio.Task[None]]()
        self._renewal = Renewal(opened, stamp, self._begin_closing)

    def _begin_closing(self, channel: grpc.aio.Channel) -> None:
        task = asyncio.ensure_future(channel.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self, grace: float | None = None) -> None:
        former = self._renewal.former
        if former is not None:
            await former.close(grace)
        await self._renewal.current.close(grace)
        await asyncio.gather(*self._closing)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        return self._renewal.current.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        await self._renewal.current.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        await self._renewal.newest().channel_ready()


class RenewingChannel(_Methods[grpc.Channel], grpc.Channel):
    """A channel for threads whose certificates may change under it."""

    def __init__(self, opened: Callable[[], grpc.Channel], stamp: Callable[[], object]) -> None:
        self._renewal = Renewal(opened, stamp, lambda former: former.close())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        for channel in (self._renewal.former, self._renewal.current):
            if channel is not None:
                channel.close()

    def subscribe(
        self,
        callback: Callable[[grpc.ChannelConnectivity], None],
        try_to_connect: bool | None = False,
    ) -> None:
        self._renewal.current.subscribe(callback, bool(try_to_connect))

    def unsubscribe(self, callback: Callable[[grpc.ChannelConnectivity], None]) -> None:
        self._renewal.current.unsubscribe(callback)
