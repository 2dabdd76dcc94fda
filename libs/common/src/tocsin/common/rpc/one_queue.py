"""One wait for the next call, whatever its method.

`grpc.aio` keeps a future for each method that is registered by name and one for all others, and
for every call that comes it hangs a callback on each of them and takes it off again
(`asyncio.wait`): with 36 methods an eighth of the CPU of a touch. Generated code registers every
service both ways, and the generic one is enough.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import grpc


def wait_in_one_queue(server: grpc.aio.Server) -> None:
    """Let a server find its methods by generic handlers alone, the first that knows a method.

    To be called before services are added to it.
    """
    server.add_registered_method_handlers = _leave_out  # type: ignore[method-assign]


def _leave_out(service_name: str, method_handlers: Mapping[str, Any]) -> None:
    """Stand in for `add_registered_method_handlers`."""
