"""The trace of the attempt that is under way, for the request that it makes.

https://www.w3.org/TR/trace-context/#traceparent-header
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_TRACEPARENT: ContextVar[str] = ContextVar("traceparent", default="")


@contextmanager
def traced_as(traceparent: str) -> Iterator[None]:
    """Let what is requested inside bear this traceparent."""
    token = _TRACEPARENT.set(traceparent)
    try:
        yield
    finally:
        _TRACEPARENT.reset(token)


def trace_headers() -> dict[str, str]:
    """Return the headers of a request that is made now: none where nothing is traced."""
    traceparent = _TRACEPARENT.get()
    return {"traceparent": traceparent} if traceparent else {}
