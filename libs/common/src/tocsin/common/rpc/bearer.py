"""Channels that send a bearer token with every call.

gRPC's own call credentials would do so over TLS only, and its interceptors make a call of asyncio
dearer and change how its streams are read. A wrapper around the channel's methods does neither.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

    Header = Callable[[], tuple[tuple[str, str], ...]]


class _AsyncMethod:
    """A method of a channel, called with more metadata."""

    __slots__ = ("_header", "_method")

    def __init__(self, method: Callable[..., Any], header: Header) -> None:
        self._method = method
        self._header = header

    def __call__(self, *request: Any, metadata: Any = None, **options: Any) -> Any:
        return self._method(*request, metadata=self._with(metadata), **options)

    def _with(self, metadata: Any) -> tuple[tuple[str, str | bytes], ...]:
        return (*(metadata or ()), *self._header())


class _SyncMethod(_AsyncMethod):
    """The same for threads, where a method can be called in three ways."""

    __slots__ = ()

    def with_call(self, *request: Any, metadata: Any = None, **options: Any) -> Any:
        method: Any = self._method
        return method.with_call(*request, metadata=self._with(metadata), **options)

    def future(self, *request: Any, metadata: Any = None, **options: Any) -> Any:
        method: Any = self._method
        return method.future(*request, metadata=self._with(metadata), **options)


class BearingAsyncChannel(grpc.aio.Channel):
    """A channel of asyncio whose calls bear a header."""

    def __init__(self, channel: grpc.aio.Channel, header: Header) -> None:
        self._channel = channel
        self._header = header

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._channel.close()

    async def close(self, grace: float | None = None) -> None:
        await self._channel.close(grace)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        return self._channel.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        await self._channel.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        await self._channel.channel_ready()

    def unary_unary(self, *method: Any, **options: Any) -> Any:
        return _AsyncMethod(self._channel.unary_unary(*method, **options), self._header)

    def unary_stream(self, *method: Any, **options: Any) -> Any:
        return _AsyncMethod(self._channel.unary_stream(*method, **options), self._header)

    def stream_unary(self, *method: Any, **options: Any) -> Any:
        return _AsyncMethod(self._channel.stream_unary(*method, **options), self._header)

    def stream_stream(self, *method: Any, **options: Any) -> Any:
        return _AsyncMethod(self._channel.stream_stream(*method, **options), self._header)


class BearingChannel(grpc.Channel):
    """A channel for threads whose calls bear a header."""

    def __init__(self, channel: grpc.Channel, header: Header) -> None:
        self._channel = channel
        self._header = header

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._channel.close()

    def close(self) -> None:
        self._channel.close()

    def subscribe(
        self,
        callback: Callable[[grpc.ChannelConnectivity], None],
        try_to_connect: bool | None = False,
    ) -> None:
        self._channel.subscribe(callback, bool(try_to_connect))

    def unsubscribe(self, callback: Callable[[grpc.ChannelConnectivity], None]) -> None:
        self._channel.unsubscribe(callback)

    def unary_unary(self, *method: Any, **options: Any) -> Any:
        return _SyncMethod(self._channel.unary_unary(*method, **options), self._header)

    def unary_stream(self, *method: Any, **options: Any) -> Any:
        return _SyncMethod(self._channel.unary_stream(*method, **options), self._header)

    def stream_unary(self, *method: Any, **options: Any) -> Any:
        return _SyncMethod(self._channel.stream_unary(*method, **options), self._header)

    def stream_stream(self, *method: Any, **options: Any) -> Any:
        return _SyncMethod(self._channel.stream_stream(*method, **options), self._header)
