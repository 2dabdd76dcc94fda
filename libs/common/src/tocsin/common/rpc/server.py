"""The server's end: one gRPC server with health, reflection, error telling and draining."""

from __future__ import annotations

import errno
import os
import socket
from datetime import timedelta
from typing import TYPE_CHECKING

import grpc

from tocsin.common.rpc.draining import Draining
from tocsin.common.rpc.health import HEALTH_SERVICE, Readiness
from tocsin.common.rpc.interceptors import ErrorInterceptor
from tocsin.common.rpc.reflection import add_reflection

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from tocsin.common.rpc.caller import Admission

MAX_MESSAGE_BYTES = 4 << 20
DRAIN_GRACE = timedelta(seconds=5)

_KEEPALIVE_SECONDS = 30
_KEEPALIVE_TIMEOUT_SECONDS = 10
_LEAST_SECONDS_BETWEEN_PINGS = 10


class ListenError(Exception):
    """The address cannot be listened on; the message says why in one line."""


class RpcServer:
    """A gRPC server without encryption.

    `listen` is `host:port`, port 0 for a free one. `needs` names every service with the
    conditions of its readiness (see `Readiness`). Register the servicers on `server`, then
    start. Make it inside the event loop that will run it.
    """

    def __init__(
        self,
        listen: str,
        *,
        needs: Mapping[str, Collection[str]],
        max_message_bytes: int = MAX_MESSAGE_BYTES,
        admission: Admission | None = None,
    ) -> None:
        self._listen = listen
        self._draining = Draining()
        self.readiness = Readiness(needs)
        self.server: grpc.aio.Server = grpc.aio.server(
            interceptors=[ErrorInterceptor(self._draining, admission=admission)],
            options=_options(max_message_bytes),
        )
        self.readiness.add_to(self.server)
        add_reflection(self.server, (*needs, HEALTH_SERVICE))

    async def start(self) -> int:
        """Listen and serve. Returns the port. Raises ListenError when the address is taken."""
        _try_to_bind(self._listen)
        try:
            port = self.server.add_insecure_port(self._listen)
        except RuntimeError:
            raise ListenError(f"Cannot listen on {self._listen}.") from None
        await self.server.start()
        return port

    async def drain(self, grace: timedelta = DRAIN_GRACE) -> None:
        """Stop: not ready any more, streams ended, other calls given `grace` to finish.

        Streams and new calls get UNAVAILABLE (DRAINING) with RetryInfo.
        """
        self.readiness.drain()
        await self._draining.begin()
        await self._draining.until_quiet(grace)
        await self.server.stop(grace.total_seconds())


def _options(max_message_bytes: int) -> list[tuple[str, int]]:
    return [
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", max_message_bytes),
        ("grpc.max_send_message_length", -1),
        # A peer that fell silent is noticed, or it would block a write for ever.
        ("grpc.keepalive_time_ms", _KEEPALIVE_SECONDS * 1000),
        ("grpc.keepalive_timeout_ms", _KEEPALIVE_TIMEOUT_SECONDS * 1000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", _LEAST_SECONDS_BETWEEN_PINGS * 1000),
    ]


def _try_to_bind(listen: str) -> None:
    """Find out why an address cannot be had: gRPC itself does not say."""
    host, _, port = listen.rpartition(":")
    if listen.startswith("unix:") or not port.isdigit():
        return
    try:
        addresses = socket.getaddrinfo(
            host.strip("[]") or None, int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        for family, kind, protocol, _, address in addresses:
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
    except OSError as error:
        raise ListenError(f"Cannot listen on {listen}: {_why(error)}.") from None


def _why(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "the port is taken by another program"
    if isinstance(error, socket.gaierror):
        return "the host name is not known"
    return os.strerror(error.errno).lower() if error.errno else str(error)
