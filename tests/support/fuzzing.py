"""What fuzzers share: what no call may end with, and requests to begin from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf import descriptor_pool

from support.any_messages import messages

if TYPE_CHECKING:
    from hypothesis import strategies as st

NEVER = {
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.DATA_LOSS,
    # Nothing here takes long; an answer that never comes is a bug too.
    grpc.StatusCode.DEADLINE_EXCEEDED,
}


def requests_of(method: str) -> st.SearchStrategy[Any]:
    """Return requests of a method, by its full name."""
    service, _, name = method[1:].rpartition("/")
    found = descriptor_pool.Default().FindServiceByName(service).methods_by_name[name]
    return messages(found.input_type)
