"""The server's end: one gRPC server with health, reflection, error telling and draining."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import grpc

from tocsin.common.rpc.asking_ahead import asking_ahead
from tocsin.common.rpc.door import Door
from tocsin.common.rpc.draining import Draining
from tocsin.common.rpc.health import HEALTH_SERVICE, Readiness
from tocsin.common.rpc.health_port import HealthPort
from tocsin.common.rpc.interceptors import ErrorInterceptor
from tocsin.common.rpc.limits import RpcLimits
from tocsin.common.rpc.listening import ListenError, require_free
from tocsin.common.rpc.one_queue import wait_in_one_queue
from tocsin.common.rpc.reflection import add_reflection
from tocsin.common.rpc.throttling import ThrottledAdmission
from tocsin.common.rpc.whole_batches import see_batches_through

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from tocsin.common.errors import TocsinError
    from tocsin.common.rpc.caller import Peer
    from tocsin.common.rpc.observing import CallObserver

DRAIN_GRACE = timedelta(seconds=5)

_NO_LIMITS = RpcLimits()
_OPEN_TO_ALL = Door()


class RpcServer:
    """A gRPC server.

    `listen` is `host:port`, port 0 for a free one. `needs` names every service with the
    conditions of its readiness (see `Readiness`). `door` says who is let in. `observer` hears of
    every call, and what is `around` sees each before anything else does. `health_listen` is a
    second address that answers for health only, without encryption. `shares_port`: other processes
    listen there too, and somebody holds the address for all of them. Register the servicers on
    `server`, then start. Make it inside the event loop that will run it.
    """

    def __init__(
        self,
        listen: str,
        *,
        needs: Mapping[str, Collection[str]],
        limits: RpcLimits = _NO_LIMITS,
        door: Door = _OPEN_TO_ALL,
        observer: CallObserver | None = None,
        around: Sequence[grpc.aio.ServerInterceptor] = (),
        health_listen: str | None = None,
        shares_port: bool = False,
    ) -> None:
        self._listen = listen
        self._limits = limits
        self._door = door
        self._health_listen = health_listen
        self._shares_port = shares_port
        self._health_port: HealthPort | None = None
        self._draining = Draining()
        self.readiness = Readiness(needs, most_watchers_of_one=limits.streams_per_caller)
        see_batches_through()
        with asking_ahead():
            self.server: grpc.aio.Server = grpc.aio.server(
                interceptors=[
                    *around,
                    ErrorInterceptor(
                        self._draining,
                        admission=ThrottledAdmission(door.admission, limits),
                        let_in_by_token=door.let_in_by_token,
                        observer=observer,
                    ),
                ],
                # Without it a second server would take a share of the calls silently.
                options=[("grpc.so_reuseport", int(shares_port)), *limits.options()],
            )
        wait_in_one_queue(self.server)
        self.readiness.add_to(self.server)
        if door.reflection:
            add_reflection(self.server, (*needs, HEALTH_SERVICE))

    async def start(self) -> int:
        """Listen and serve. Returns the port. Raises ListenError when the address is taken."""
        if not self._shares_port:
            for listen in filter(None, (self._listen, self._door.certified_listen)):
                require_free(listen)
        try:
            port = self._door.open(self.server, self._listen)
        except RuntimeError:
            raise ListenError(f"Cannot listen on {self._listen}.") from None
        await self.server.start()
        await self._start_health_port()
        return port

    def end_streams(self, why: Callable[[Peer], TocsinError | None]) -> None:
        """End each open stream for whose peer there is a reason to, with that error."""
        self._draining.end_streams(why)

    async def drain(self, grace: timedelta = DRAIN_GRACE) -> None:
        """Stop: not ready any more, streams ended, other calls given `grace` to finish.

        Streams and new calls get UNAVAILABLE (DRAINING) with RetryInfo.
        """
        self.readiness.drain()
        await self._draining.begin()
        await self._draining.until_quiet(grace)
        await self.server.stop(grace.total_seconds())
        if self._health_port is not None:
            await self._health_port.stop()

    async def _start_health_port(self) -> None:
        if self._health_listen is None:
            return
        try:
            if not self._shares_port:
                require_free(self._health_listen)
            self._health_port = HealthPort(
                self._health_listen,
                self.readiness,
                limits=self._limits,
                shares_port=self._shares_port,
            )
            await self._health_port.start()
        except (ListenError, RuntimeError):
            await self.server.stop(None)
            raise ListenError(f"Cannot listen on {self._health_listen}, for health.") from None
