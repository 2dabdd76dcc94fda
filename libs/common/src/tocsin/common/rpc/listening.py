"""Where a server listens: whether an address can be had, and holding one for several processes."""

from __future__ import annotations

import errno
import os
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class ListenError(Exception):
    """The address cannot be listened on; the message says why in one line."""


def require_free(listen: str) -> None:
    """Raise ListenError unless `host:port` can be listened on: gRPC itself does not say why."""
    with ExitStack() as probes:
        for _ in _bound(listen, probes):
            pass


class HeldAddress:
    """An address that was free, kept for processes that share it by SO_REUSEPORT (socket(7)).

    It is bound and does not listen, so that it takes no connection itself. Nobody can take it who
    does not ask to share it.
    """

    def __init__(self, listen: str) -> None:
        """`listen` is `host:port`; for port 0 a free one is taken. Raises ListenError."""
        require_free(listen)
        self.port = 0
        with ExitStack() as sockets:
            for held in _bound(listen, sockets, shared=True):
                self.port = held.getsockname()[1]
            self._sockets = sockets.pop_all()

    def close(self) -> None:
        """Let go of it. Idempotent."""
        self._sockets.close()


def _bound(listen: str, sockets: ExitStack, *, shared: bool = False) -> Iterator[socket.socket]:
    """Bind every address that the host stands for, on one port. A Unix socket is not tried."""
    host, _, port = listen.rpartition(":")
    if listen.startswith("unix:") or not port.isdigit():
        return
    number = int(port)
    try:
        addresses = socket.getaddrinfo(
            host.strip("[]") or None, number, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        for family, kind, protocol, _, address in addresses:
            bound = sockets.enter_context(socket.socket(family, kind, protocol))
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if shared:
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            bound.bind((address[0], number, *address[2:]))
            number = bound.getsockname()[1]
            yield bound
    except OSError as error:
        raise ListenError(f"Cannot listen on {listen}: {_why(error)}.") from None


def _why(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "the port is taken by another program"
    if isinstance(error, socket.gaierror):
        return "the host name is not known"
    return os.strerror(error.errno).lower() if error.errno else str(error)
