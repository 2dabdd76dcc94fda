"""Every method that a server registers while a block runs, whatever any table says of it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import grpc.aio._server as grpc_server

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def registered_methods() -> Iterator[set[str]]:
    """Give a set that fills with the full names of the methods that servers register."""
    found: set[str] = set()
    add = grpc_server.Server.add_generic_rpc_handlers

    def spying(server: Any, handlers: Any) -> None:
        handlers = tuple(handlers)
        for handler in handlers:
            found.update(handler._method_handlers)
        add(server, handlers)

    with patch.object(grpc_server.Server, "add_generic_rpc_handlers", spying):
        yield found
