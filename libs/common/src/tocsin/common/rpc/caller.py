"""Who calls, as far as the transport knows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    import grpc

    Context = grpc.aio.ServicerContext[Any, Any]

ANONYMOUS = "anonymous"

# https://www.w3.org/TR/trace-context/#traceparent-header
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


@dataclass(frozen=True, slots=True)
class Peer:
    """The far end of a call.

    `actor` is its proven identity: `anonymous` for one that proves none. `traceparent` is the
    trace that it is part of, empty when there is none or when it is malformed. `host_ids` are
    the hosts that it may speak of; empty for all of them.
    """

    actor: str
    traceparent: str
    host_ids: frozenset[str] = frozenset()


class Admission(Protocol):
    """Decides who may call what."""

    def check_of(self, method: str) -> Callable[[Context], Peer]:
        """Return what looks at each call of a method; asked once for each method.

        What it returns raises UnauthenticatedError or PermissionDeniedError, or tells who calls.
        It must not block.
        """


class Anyone:
    """Admits every call, and takes nobody's word for who makes it."""

    def check_of(self, method: str) -> Callable[[Context], Peer]:  # noqa: ARG002 - any method
        return anonymous_peer


class CallContext:
    """What a handler sees of its call: gRPC's context, and who was admitted."""

    __slots__ = ("_context", "admitted")

    def __init__(self, context: Context, admitted: Peer) -> None:
        self._context = context
        self.admitted = admitted

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)


def peer_of(context: Context | CallContext) -> Peer:
    """Return who makes this call."""
    return context.admitted if isinstance(context, CallContext) else anonymous_peer(context)


def anonymous_peer(context: Context) -> Peer:
    """Return a peer that proves nothing."""
    return Peer(ANONYMOUS, traceparent_of(context))


def traceparent_of(context: Context) -> str:
    """Return the trace that a call is part of; empty without one."""
    for key, value in context.invocation_metadata() or ():
        if key == "traceparent" and isinstance(value, str) and _TRACEPARENT.fullmatch(value):
            return value
    return ""
