"""Who calls, as far as the transport knows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from uuid import UUID

    import grpc

    Context = grpc.aio.ServicerContext[Any, Any]
    Metadata = Iterable[tuple[str, str | bytes]] | None
    LetInByToken = Callable[[str, Metadata], bool]

ANONYMOUS = "anonymous"

# https://www.w3.org/TR/trace-context/#traceparent-header
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


@dataclass(frozen=True, slots=True)
class Peer:
    """The far end of a call.

    `actor` is its proven identity: `anonymous` for one that proves none. `traceparent` is the
    trace that it is part of, empty when there is none or when it is malformed. `host_ids` are
    the hosts that it may speak of; empty for all of them. `roles` are what it may do, by name;
    where nobody proves anything they are empty and all is allowed. `is_person`: what it changes
    belongs into the audit trail. `credential_id` is what it proved itself by.
    """

    actor: str
    traceparent: str
    host_ids: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()
    is_person: bool = True
    credential_id: UUID | None = None


_NOBODY = Peer(ANONYMOUS, "")


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
    traceparent = traceparent_of(context)
    return Peer(ANONYMOUS, traceparent) if traceparent else _NOBODY


def traceparent_of(context: Context) -> str:
    """Return the trace that a call is part of; empty without one."""
    return read_metadata(context)[1]


def read_metadata(context: Context) -> tuple[str | None, str]:
    """Return the `authorization` that a call bears, if it does, and its trace, '' without one."""
    authorization, traceparent = None, ""
    for key, value in context.invocation_metadata() or ():
        if key == "traceparent" and isinstance(value, str) and _TRACEPARENT.fullmatch(value):
            traceparent = traceparent or value
        elif key == "authorization" and isinstance(value, str):
            authorization = value if authorization is None else authorization
    return authorization, traceparent
