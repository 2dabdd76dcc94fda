"""OpenTelemetry traces, by its API alone: who brings no SDK gets none and pays for none.

A call that is traced by its caller (`traceparent`) goes on in a span of the server, and what it
writes bears that span's context. Streams have no span: they last for days.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
from opentelemetry import trace
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from tocsin.common.rpc.throttling import is_stream

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from opentelemetry.trace import Tracer

    Context = grpc.aio.ServicerContext[Any, Any]
    RpcHandler = grpc.RpcMethodHandler[Any, Any]

_W3C = TraceContextTextMapPropagator()
_CODES = {code.value[0]: code.name for code in grpc.StatusCode}
# The server's own failures, as OpenTelemetry counts them.
# https://opentelemetry.io/docs/specs/semconv/rpc/grpc/
_FAILED = frozenset(
    {"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"}
)


def tracer_of(service: str, provider: trace.TracerProvider | None = None) -> Tracer:
    """Return what makes the spans of a service; without a provider, that of the process."""
    return trace.get_tracer(service, tracer_provider=provider)


def context_of(traceparent: str) -> SpanContext | None:
    """Return the span that a traceparent names, None when it names none."""
    found = trace.get_current_span(_W3C.extract({"traceparent": traceparent})).get_span_context()
    return found if found.is_valid else None


def links_to(traceparent: str) -> list[Link]:
    """Return a link to the span that a traceparent names, if it names one."""
    found = context_of(traceparent)
    return [] if found is None else [Link(found)]


def traceparent_now() -> str:
    """Return the traceparent of the current span, '' without one."""
    carrier: dict[str, str] = {}
    _W3C.inject(carrier)
    return carrier.get("traceparent", "")


class TracingInterceptor(grpc.aio.ServerInterceptor):
    """Makes a span of each call that is no stream and not about the server itself."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._traced: dict[RpcHandler, RpcHandler] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[RpcHandler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> RpcHandler | None:
        method = handler_call_details.method
        found = await continuation(handler_call_details)
        if found is None or found.response_streaming:
            return found
        if method.startswith("/grpc.") or is_stream(method):
            return found
        if found not in self._traced:
            self._traced[found] = self._around(method, found)
        return self._traced[found]

    def _around(self, method: str, found: RpcHandler) -> RpcHandler:
        # One whose request is not read before the admission is served like a stream (rpc.unread).
        kind = "unary_unary" if found.unary_unary else "stream_unary"
        make = getattr(grpc, f"{kind}_rpc_method_handler")
        handler: RpcHandler = make(
            self._spanned(method, getattr(found, kind)),
            found.request_deserializer,
            found.response_serializer,
        )
        return handler

    def _spanned(self, method: str, behave: Callable[[Any, Any], Any]) -> Callable[..., Any]:
        service, _, name = method[1:].partition("/")
        attributes = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": name}

        async def call(request: Any, context: Context) -> Any:
            with self._tracer.start_as_current_span(
                method[1:],
                context=_W3C.extract(_headers(context)),
                kind=SpanKind.SERVER,
                attributes=attributes,
                record_exception=False,
                set_status_on_exception=False,
            ) as span:
                try:
                    return await behave(request, _TracedContext(context, traceparent_now()))
                finally:
                    _tell_code(span, context)

        return call


class _TracedContext:
    """gRPC's context, under the trace of the span that was begun for its call."""

    __slots__ = ("_context", "_traceparent")

    def __init__(self, context: Context, traceparent: str) -> None:
        self._context = context
        self._traceparent = traceparent

    def invocation_metadata(self) -> tuple[tuple[str, str | bytes], ...]:
        came = tuple(self._context.invocation_metadata() or ())
        if not self._traceparent:
            return came
        others = (each for each in came if each[0] != "traceparent")
        return (("traceparent", self._traceparent), *others)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)


def _headers(context: Context) -> dict[str, str]:
    metadata = context.invocation_metadata() or ()
    return {
        key: value
        for key, value in metadata
        if key in {"traceparent", "tracestate"} and isinstance(value, str)
    }


def _tell_code(span: Span, context: Context) -> None:
    given: Any = context.code()  # a number, whatever its annotation says
    number = given.value[0] if isinstance(given, grpc.StatusCode) else given or 0
    code = _CODES.get(number, "UNKNOWN")
    span.set_attribute("rpc.grpc.status_code", number)
    if code in _FAILED:
        span.set_status(Status(StatusCode.ERROR, code))
