"""The service, put together: `__init__` says of what, `start` in which order."""

from __future__ import annotations

from contextlib import AsyncExitStack
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from tocsin.alert.config import MIGRATIONS
from tocsin.alert.eventlog.broadcast import Broadcast
from tocsin.alert.eventlog.compaction import Compaction, Retention
from tocsin.alert.eventlog.following import Following
from tocsin.alert.ledger import Ledger
from tocsin.alert.rpc.access import RULES
from tocsin.alert.rpc.watch import Watch
from tocsin.alert.rpc.wire import encode_alert, encode_event
from tocsin.alert.services import Parts, make_probes, make_server
from tocsin.alert.sweep.parts import Sweeps
from tocsin.alert.telemetry.parts import AlertTelemetry
from tocsin.common.clock import SystemClock
from tocsin.common.identity.security import Security
from tocsin.common.postgres.access import open_database, prepare_for

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

    from tocsin.alert.config import AlertSettings
    from tocsin.common.clock import Clock
    from tocsin.common.lifecycle import Lifecycle

# Connections that no call can take, however many hang: for the ledger and what runs beside it.
WRITERS = 5

_log = structlog.get_logger(__name__)


class AlertApp:
    """tocsin-alert in this process: `start`, then `port` says where it listens, then `stop`.

    Several may run in one process, each on a port of its own. With several `workers` in its
    settings it is one of them, and shares its port.
    """

    def __init__(
        self,
        settings: AlertSettings,
        *,
        clock: Clock | None = None,
        tracers: TracerProvider | None = None,
    ) -> None:
        self.port = 0
        self._settings = settings
        self._clock = clock = clock or SystemClock()
        self._running: AsyncExitStack | None = None

        readers = settings.database_connections - WRITERS
        self._database = open_database(settings, "tocsin-alert", pool_size=WRITERS)
        self._reading = reading = open_database(settings, "tocsin-alert", pool_size=readers)
        self._broadcast = Broadcast()
        self.telemetry = AlertTelemetry(settings, tracers)
        self._following = Following(
            self._database,
            self._broadcast,
            direct_url=settings.direct_url,
            pause=timedelta(milliseconds=settings.notify_pause_ms),
        )
        self._ledger = Ledger(
            self._database,
            encode_event=encode_event,
            on_commit=self._following.take,
            clock=self._clock,
            max_batch=settings.max_batch,
            max_queue=settings.max_queue,
            open_alerts_per_host=settings.open_alerts_per_host,
            observer=self.telemetry.lane,
        )
        self._watch = Watch(self._reading, self._broadcast, encode_alert=encode_alert)
        self._security = Security(
            settings, reading, self._database, program="tocsin-alert", rules=RULES, clock=clock
        )
        self._parts = self._background(settings)
        self.telemetry.show(
            ledger=self._ledger,
            broadcast=self._broadcast,
            pools={"writing": self._database, "reading": self._reading},
            loops=self._parts,
            clock=self._clock,
        )

    async def start(self) -> None:
        """Serve. What has begun is stopped again when the rest fails.

        Raises UnreachableError, MigrationError, UnavailableError, ConfigError or ListenError.
        """
        if self._running is not None:
            return
        async with AsyncExitStack() as running:
            await prepare_for(self._settings, MIGRATIONS)
            running.push_async_callback(self._database.close)
            running.push_async_callback(self._reading.close)
            self._watch.open()
            for part in self._parts:
                await part.start()
                running.push_async_callback(part.stop)
            await self._serve(running)
            self._running = running.pop_all()
        _log.info("serving", listen=self._settings.listen, port=self.port)

    async def stop(self) -> None:
        """Refuse new calls, finish those taken on, and end all in the reverse order."""
        running, self._running = self._running, None
        if running is not None:
            self._watch.drain()
            await running.aclose()
            _log.info("stopped")

    def _background(self, settings: AlertSettings) -> list[Lifecycle]:
        database, ledger, clock = self._database, self._ledger, self._clock
        retention = Retention(timedelta(days=settings.retention_days), settings.retention_revisions)
        return [
            self.telemetry,
            self._security,
            *self._following.parts,
            ledger,
            *Sweeps(database, ledger, clock).loops(
                suppression_grace=settings.suppression_grace, job_retention=settings.job_retention
            ),
            Compaction(database, clock=clock, retention=retention),
        ]

    async def _serve(self, running: AsyncExitStack) -> None:
        rpc = make_server(
            Parts(
                settings=self._settings,
                security=self._security,
                ledger=self._ledger,
                reading=self._reading,
                watch=self._watch,
                clock=self._clock,
                telemetry=self.telemetry,
            )
        )
        self.port = await rpc.start()
        running.push_async_callback(rpc.drain, self._settings.drain)
        probes = make_probes(rpc, self._database, self._following, self._ledger)
        await probes.start()
        running.push_async_callback(probes.stop)
