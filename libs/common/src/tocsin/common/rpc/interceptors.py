"""What stands around every RPC: errors told by one table, bad bytes refused, draining.

An RPC is looked at once, when it is first called; afterwards a call costs one look into a
dictionary and one `try`.
"""

from __future__ import annotations

import asyncio
import inspect
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any, NoReturn
from uuid import uuid4

import grpc
import structlog
from google.protobuf.message import DecodeError

from tocsin.common.errors import FieldViolation, InvalidArgumentError, TocsinError
from tocsin.common.rpc.caller import Anyone, CallContext, peer_of
from tocsin.common.rpc.observing import named_in, tell_refusal, telling_all
from tocsin.common.rpc.status import code_of, internal, status_of
from tocsin.common.rpc.unread import UnreadCalls, unread_handler

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tocsin.common.ids import NewId
    from tocsin.common.rpc.caller import Admission, LetInByToken
    from tocsin.common.rpc.draining import Draining
    from tocsin.common.rpc.observing import CallObserver

    Context = grpc.aio.ServicerContext[Any, Any]
    Behaviour = Callable[[Any, Any], Awaitable[Any]]
    RpcHandler = grpc.RpcMethodHandler[Any, Any]

_log = structlog.get_logger(__name__)

_OK = grpc.StatusCode.OK.name
_CANCELLED = grpc.StatusCode.CANCELLED.name
_INTERNAL = grpc.StatusCode.INTERNAL.name
_UNKNOWN = grpc.StatusCode.UNKNOWN.name
_KINDS = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")


@dataclass(frozen=True, slots=True)
class _Refused:
    """Stands in for a request that was not read, until there is a context to refuse it."""

    error: TocsinError

    def refuse(self) -> NoReturn:
        raise self.error


class ErrorInterceptor(grpc.aio.ServerInterceptor):
    """Ends every failing call with the status that the table of `rpc.status` gives.

    A TocsinError tells itself. Any other exception is a bug: the caller gets INTERNAL with an
    error id, the log gets the traceback under that id. Cancellation passes through.
    """

    def __init__(
        self,
        draining: Draining,
        *,
        admission: Admission | None = None,
        let_in_by_token: LetInByToken | None = None,
        observer: CallObserver | None = None,
        new_id: NewId = uuid4,
    ) -> None:
        """`admission` says who may call what; without it anybody may call everything.

        Calls whose method and headers do not pass `let_in_by_token` are admitted before their
        requests are read, the others after it. `observer` is told of each call as it ends.
        """
        self._observer = observer
        self._draining = draining
        self._admission = admission or Anyone()
        self._new_id = new_id
        self._let_in_by_token = let_in_by_token
        self._guarded: dict[str, RpcHandler] = {}
        self._unread: dict[str, RpcHandler] = {}
        self._unread_calls = UnreadCalls(draining)

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[RpcHandler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> RpcHandler | None:
        method = handler_call_details.method
        by_token = self._let_in_by_token
        let_in = by_token is None or by_token(method, handler_call_details.invocation_metadata)
        guarded = (self._guarded if let_in else self._unread).get(method)
        if guarded is not None:
            return guarded
        found = await continuation(handler_call_details)
        if found is None:  # no such method: gRPC answers UNIMPLEMENTED
            return None
        self._unread[method] = self._guard(method, found, unread=True)
        self._guarded[method] = self._guard(method, found, unread=False)
        return (self._guarded if let_in else self._unread)[method]

    def _guard(self, method: str, found: RpcHandler, *, unread: bool) -> RpcHandler:
        kind = next(name for name in _KINDS if getattr(found, name, None))
        behave = telling_all(method, _as_coroutine(getattr(found, kind)))
        if found.response_streaming or found.request_streaming:
            behave = self._ended_by_draining(behave)
        if unread and not found.request_streaming:
            behave = self._unread_calls.reading(behave)
            decode = _lenient(found.request_deserializer, streams=True)
            return unread_handler(kind, self._telling_errors(method, behave), found, decode)
        make = getattr(grpc, f"{kind}_rpc_method_handler")
        handler: RpcHandler = make(
            self._telling_errors(method, behave),
            _lenient(found.request_deserializer, streams=found.request_streaming),
            found.response_serializer,
        )
        return handler

    def _ended_by_draining(self, behave: Behaviour) -> Behaviour:
        async def stream(request: Any, context: Context) -> Any:
            with self._draining.ends_this_stream(peer_of(context)):
                return await behave(request, context)

        return stream

    def _telling_errors(self, method: str, behave: Behaviour) -> Behaviour:
        answers_to_the_last = method.startswith("/grpc.health.")
        admit = self._admission.check_of(method)
        ended = None if self._observer is None else self._observer.of(method)

        async def call(request: Any, context: Context) -> Any:
            began, code = perf_counter(), _CANCELLED
            try:
                if not answers_to_the_last:
                    self._draining.refuse_if_begun()
                admitted = CallContext(context, admit(context))
                if type(request) is _Refused:
                    request.refuse()
                answer = await behave(request, admitted)
                code = _OK
            except TocsinError as error:
                code = code_of(error).name
                tell_refusal(method, request, error, code)
                await _end(context, error)
            except grpc.aio.InternalError:  # a write to a peer that is gone
                raise asyncio.CancelledError from None
            except grpc.aio.BaseError:  # the behaviour has ended the call itself
                code = _code_given(context)
                raise
            except Exception as error:  # noqa: BLE001 - a bug, and this is where bugs end
                code = _INTERNAL
                await _end(context, self._told_bug(method, request, error))
            else:
                return answer
            finally:
                if ended is not None:
                    ended(code, perf_counter() - began)

        return call

    def _told_bug(self, method: str, request: Any, error: Exception) -> TocsinError:
        error_id = self._new_id()
        _log.error(
            "rpc failed",
            method=method,
            error_id=str(error_id),
            exc_info=error,
            **named_in(request),
        )
        return internal(error_id)


def _code_given(context: Context) -> str:
    """Return the code with which a behaviour has ended its call."""
    code = context.code()
    return code.name if isinstance(code, grpc.StatusCode) else _UNKNOWN


async def _end(context: Context, error: TocsinError) -> None:
    status = status_of(error)
    try:
        await context.abort(status.code, status.message, status.trailing_metadata)
    except grpc.aio.InternalError:  # the peer is gone, and nobody is left to tell
        raise asyncio.CancelledError from None


def _as_coroutine(behave: Callable[[Any, Context], Any]) -> Behaviour:
    """Turn a behaviour that yields its responses into one that writes them."""
    if inspect.iscoroutinefunction(behave):
        return behave
    if not inspect.isasyncgenfunction(behave):
        raise TypeError(f"{behave!r} must be an asynchronous function")

    async def writes(request: Any, context: Context) -> None:
        async for response in behave(request, context):
            await context.write(response)

    return writes


def _lenient(
    decode: Callable[[bytes], Any] | None, *, streams: bool
) -> Callable[[bytes], Any] | None:
    """Make a decoder that never fails outside of a call's `try`.

    gRPC decodes a unary request before it calls the behaviour, and would tell the caller the
    exception with UNKNOWN. Requests of a stream are decoded inside the behaviour. A decoder may
    refuse a request by a TocsinError without reading it.
    """
    if decode is None:
        return None

    def lenient(raw: bytes) -> Any:
        refusal: TocsinError
        try:
            return decode(raw)
        except TocsinError as error:
            refusal = error
        except DecodeError as error:
            refusal = _undecodable(str(error))
        if streams:
            raise refusal
        return _Refused(refusal)

    return lenient


def _undecodable(said: str) -> InvalidArgumentError:
    if "UTF-8" in said:
        description = "holds text that is not valid UTF-8; encode every string field as UTF-8"
    else:
        description = "is not a protobuf message of this method's request type"
    return InvalidArgumentError.of([FieldViolation("request", description)])
