"""What one service shows of itself: its metrics on a page, its traces, and whether it is ready."""

from __future__ import annotations

import asyncio
import errno
import inspect
import os
import platform
from http import HTTPStatus
from importlib.metadata import version
from typing import TYPE_CHECKING, Protocol

import structlog

from tocsin.common.rpc.listening import ListenError
from tocsin.common.telemetry.calls import CallMeasures
from tocsin.common.telemetry.measures import Counts, Family
from tocsin.common.telemetry.page import Page, PageServer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable, Iterator, Sequence

    import grpc
    from opentelemetry.sdk.trace import TracerProvider as SdkProvider
    from opentelemetry.trace import Tracer, TracerProvider

    from tocsin.common.rpc.health import Readiness
    from tocsin.common.telemetry.measures import Reading

_log = structlog.get_logger(__name__)

_LAST_WORD_MS = 2_000


class Source(Protocol):
    """Something that can be measured. What it has to ask the database for, it reads at once."""

    @property
    def families(self) -> Sequence[Family]: ...

    def readings(self) -> Iterable[Reading] | Awaitable[Iterable[Reading]]: ...


class Settings(Protocol):
    """What of the settings of a service is about this."""

    @property
    def metrics_listen(self) -> str | None: ...
    @property
    def tracing(self) -> bool: ...


class Telemetry:
    """Of one application: several may run in one process, each with its own.

    `service` is the name of its distribution, such as tocsin-alert; the names of its metrics begin
    with that. `readiness` is what /readyz tells, once there is a server. When the address is taken,
    one of `more_ports` that follow is: other processes of the same settings have the ones before.
    `tracers` makes traces, instead of the SDK that the settings ask for.
    """

    def __init__(
        self,
        service: str,
        settings: Settings,
        *,
        tracers: TracerProvider | None = None,
        more_ports: int = 0,
    ) -> None:
        """Raises ConfigError when traces are asked for, and what they need is not installed."""
        prefix = service.replace("-", "_")
        self.prefix = prefix
        self.port = 0
        self.calls = CallMeasures(prefix)
        self._sdk = None if tracers or not settings.tracing else _sdk(service, prefix)
        self.tracer = _tracer(service, tracers or self._sdk)
        self._listen = settings.metrics_listen
        self._more_ports = more_ports
        self._info = Family(
            f"{prefix}_build_info", "gauge", "1, for what is running.", ("version", "python")
        )
        self._ready = Family(
            f"{prefix}_condition",
            "gauge",
            "1 while a condition of being ready holds, 0 while it does not.",
            ("condition",),
        )
        self._tasks = Family(
            f"{prefix}_asyncio_tasks",
            "gauge",
            "Tasks of the event loop that have not ended: some for each call, stream and loop.",
        )
        self._lost = Family(
            f"{prefix}_scrape_failures_total",
            "counter",
            "Times that a part of this page could not be read, the database's usually.",
            ("source",),
        )
        self._build = self._info.of(1, version(service), platform.python_version())
        self._failures = Counts()
        self._sources: list[Source] = [self.calls]
        self.readiness: Readiness | None = None
        self._server: PageServer | None = None

    @property
    def around(self) -> list[grpc.aio.ServerInterceptor]:
        """What stands around every call for the sake of traces."""
        if self.tracer is None:
            return []
        from tocsin.common.telemetry.tracing import TracingInterceptor

        return [TracingInterceptor(self.tracer)]

    @property
    def families(self) -> list[Family]:
        """Every metric of the service itself."""
        own = [self._info, self._ready, self._tasks, self._lost]
        return own + [family for source in self._sources for family in source.families]

    def add(self, *sources: Source) -> None:
        """Show these as well."""
        self._sources += sources

    async def start(self) -> None:
        """Show all of it, if it is to be shown. Raises ListenError."""
        if self._listen is None or self._server is not None:
            return
        # Loaded here, before it is first asked for: who does not measure does not pay for it.
        import tocsin.common.telemetry.exposition  # noqa: F401

        server = await self._served(self._listen)
        self._server, self.port = server, server.port
        _log.info("metrics_shown", listen=self._listen, port=self.port)

    async def _served(self, listen: str) -> PageServer:
        pages = {"/metrics": self._metrics, "/livez": _alive, "/readyz": self._readyz}
        host, _, port = listen.rpartition(":")
        for place in range(self._more_ports + 1):
            server = PageServer(f"{host}:{int(port) + place}", pages)
            try:
                await server.start()
            except OSError as error:
                if error.errno == errno.EADDRINUSE and place < self._more_ports:
                    continue
                why = os.strerror(error.errno).lower() if error.errno else str(error)
                raise ListenError(f"Cannot listen on {listen}: {why}.") from None
            return server
        raise AssertionError

    async def stop(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            await server.stop()
        if self._sdk is not None:  # sends what is left, by a thread of its own
            await asyncio.to_thread(self._sdk.force_flush, _LAST_WORD_MS)

    async def readings(self) -> list[Reading]:
        """Read everything. What cannot be read is left out, and counted."""
        tasks = self._tasks.of(len(asyncio.all_tasks()))
        found = [self._build, tasks, *self._conditions()]
        for source in self._sources:
            try:
                given = source.readings()
                found += await given if inspect.isawaitable(given) else given
            except Exception as error:  # noqa: BLE001 - the other parts are to be seen all the more
                self._failures[(type(source).__name__,)] += 1
                _log.warning("scrape_failed", source=type(source).__name__, error=repr(error))
        for each in self._sources:
            self._failures[(type(each).__name__,)] += 0
        return [*found, *self._failures.readings(self._lost)]

    def _conditions(self) -> Iterator[Reading]:
        if self.readiness is not None:
            for name, holds in self.readiness.conditions().items():
                yield self._ready.of(int(holds), name)

    async def _metrics(self, accept: str) -> Page:
        from tocsin.common.telemetry.exposition import exposition

        return Page(*exposition(await self.readings(), accept))

    async def _readyz(self, _accept: str) -> Page:
        readiness = self.readiness
        if readiness is not None and readiness.ready():
            return Page(b"ready\n")
        missing = "starting" if readiness is None else ", ".join(readiness.missing()) or "draining"
        return Page(f"not ready: {missing}\n".encode(), status=HTTPStatus.SERVICE_UNAVAILABLE)


def _sdk(service: str, prefix: str) -> SdkProvider:
    from tocsin.common.telemetry.sdk import sdk_provider

    return sdk_provider(service, f"{prefix}_tracing".upper())


def _tracer(service: str, tracers: TracerProvider | None) -> Tracer | None:
    if tracers is None:
        return None
    from tocsin.common.telemetry.tracing import tracer_of

    return tracer_of(service, tracers)


async def _alive(_accept: str) -> Page:
    return Page(b"alive\n")
