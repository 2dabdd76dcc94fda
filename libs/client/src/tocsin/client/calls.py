"""What all clients share: a channel, its life, and calls under the retry policy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

from tocsin.client.retry import RetryPolicy, call, call_async
from tocsin.common.rpc.channel import open_channel, open_sync_channel
from tocsin.common.rpc.client_credentials import ClientCredentials

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from types import TracebackType
    from typing import Self

    import grpc
    import grpc.aio

_Request = TypeVar("_Request")
_Answer = TypeVar("_Answer")


class _PageRequest(Protocol):
    page_token: str


class _PageAnswer(Protocol):
    next_page_token: str


_Asked = TypeVar("_Asked", bound=_PageRequest)
_Page = TypeVar("_Page", bound=_PageAnswer)


class AsyncCalls:
    """A connection of asyncio to one server.

    `target` is `host:port`, for a connection that is closed with the client, or a channel of the
    caller's, which stays the caller's to close. `credentials` are for the first; None means those
    of the environment (TOCSIN_TOKEN, TOCSIN_TLS_CA_FILE and the like). Make it inside the event
    loop. Raises CredentialsError for credentials that cannot be used, or not with this target.
    """

    _service = ""

    def __init__(
        self,
        target: str | grpc.aio.Channel,
        *,
        retry: RetryPolicy | None = None,
        credentials: ClientCredentials | None = None,
    ) -> None:
        self._owned = isinstance(target, str)
        self.channel = (
            open_channel(target, credentials or ClientCredentials.from_environment(self._service))
            if isinstance(target, str)
            else target
        )
        self._retry = retry or RetryPolicy()

    async def close(self) -> None:
        """Close the connection, if the client opened it."""
        if self._owned:
            await self.channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def _call(
        self,
        method: grpc.aio.UnaryUnaryMultiCallable[_Request, _Answer],
        request: _Request,
        retry: RetryPolicy | None = None,
        *,
        before: Callable[[_Request], None] | None = None,
    ) -> _Answer:
        """Make a call under a policy. `before` is done to the request before each attempt."""

        async def attempt(timeout: float) -> _Answer:  # noqa: ASYNC109 (gRPC keeps it)
            if before is not None:
                before(request)
            return await method(request, timeout=timeout)

        return await call_async(retry or self._retry, attempt)

    async def _pages(
        self, method: grpc.aio.UnaryUnaryMultiCallable[_Asked, _Page], request: _Asked
    ) -> AsyncIterator[_Page]:
        while True:
            page = await self._call(method, request)
            yield page
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token


class SyncCalls:
    """A blocking connection to one server. It may be shared by threads.

    `target` is `host:port`, for a connection that is closed with the client, or a channel of the
    caller's, which stays the caller's to close. `credentials` are for the first; None means those
    of the environment (TOCSIN_TOKEN, TOCSIN_TLS_CA_FILE and the like). Raises CredentialsError
    for credentials that cannot be used, or not with this target.
    """

    _service = ""

    def __init__(
        self,
        target: str | grpc.Channel,
        *,
        retry: RetryPolicy | None = None,
        credentials: ClientCredentials | None = None,
    ) -> None:
        self._owned = isinstance(target, str)
        self.channel = (
            open_sync_channel(
                target, credentials or ClientCredentials.from_environment(self._service)
            )
            if isinstance(target, str)
            else target
        )
        self._retry = retry or RetryPolicy()

    def close(self) -> None:
        """Close the connection, if the client opened it."""
        if self._owned:
            self.channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _call(
        self,
        method: grpc.UnaryUnaryMultiCallable[_Request, _Answer],
        request: _Request,
        retry: RetryPolicy | None = None,
        *,
        before: Callable[[_Request], None] | None = None,
    ) -> _Answer:
        """Make a call under a policy. `before` is done to the request before each attempt."""

        def attempt(timeout: float) -> _Answer:
            if before is not None:
                before(request)
            return method(request, timeout=timeout)

        return call(retry or self._retry, attempt)

    def _pages(
        self, method: grpc.UnaryUnaryMultiCallable[_Asked, _Page], request: _Asked
    ) -> Iterator[_Page]:
        while True:
            page = self._call(method, request)
            yield page
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token
