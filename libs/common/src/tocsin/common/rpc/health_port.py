"""Health on a port of its own: for those who have neither a certificate nor a token.

Kubernetes, Docker and load balancers ask by grpc.health.v1 without encryption. Where the service
itself is encrypted they cannot, so that one answer is given beside it, and nothing else is.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import grpc

from tocsin.common.rpc.limits import RpcLimits

if TYPE_CHECKING:
    from tocsin.common.rpc.health import Readiness

_NO_LIMITS = RpcLimits()
# The name of a service: whoever asks proves nothing, and what comes is kept until it is whole.
_REQUEST_BYTES = 4 << 10


class HealthPort:
    """A server without encryption that tells the readiness of another one.

    Make it inside the event loop that will run it.
    """

    def __init__(
        self,
        listen: str,
        readiness: Readiness,
        *,
        limits: RpcLimits = _NO_LIMITS,
        shares_port: bool = False,
    ) -> None:
        """`listen` is `host:port`, port 0 for a free one; other processes may share it.

        Of the `limits` those count that gRPC itself keeps.
        """
        self._listen = listen
        own = replace(limits, message_bytes=_REQUEST_BYTES)
        self._server: grpc.aio.Server = grpc.aio.server(
            options=[("grpc.so_reuseport", int(shares_port)), *own.options()]
        )
        readiness.add_to(self._server)

    async def start(self) -> int:
        """Listen and answer. Returns the port. Raises RuntimeError when the address is taken."""
        port = self._server.add_insecure_port(self._listen)
        await self._server.start()
        return port

    async def stop(self) -> None:
        """Answer no more."""
        await self._server.stop(None)
