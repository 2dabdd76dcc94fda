"""Who calls, as far as the transport knows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import grpc

ANONYMOUS = "anonymous"

# https://www.w3.org/TR/trace-context/#traceparent-header
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


@dataclass(frozen=True, slots=True)
class Peer:
    """The far end of a call.

    `actor` is its proven identity: `anonymous` for one that proves none. `traceparent` is the
    trace that it is part of, empty when there is none or when it is malformed.
    """

    actor: str
    traceparent: str


def peer_of(context: grpc.aio.ServicerContext[Any, Any]) -> Peer:
    """Return who makes this call."""
    for key, value in context.invocation_metadata() or ():
        if key == "traceparent" and isinstance(value, str) and _TRACEPARENT.fullmatch(value):
            return Peer(ANONYMOUS, value)
    return Peer(ANONYMOUS, "")
