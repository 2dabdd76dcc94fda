"""The service, put together: `__init__` says of what, `start` in which order."""

from __future__ import annotations

from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from tocsin.alert.eventlog.broadcast import Broadcast
from tocsin.alert.eventlog.compaction import Compaction, Retention
from tocsin.alert.eventlog.tail import Tail
from tocsin.alert.eventlog.wakeup import CHANNEL, Wakeup
from tocsin.alert.ledger import Ledger
from tocsin.alert.rpc.alert_service import ALERT_SERVICE, AlertService
from tocsin.alert.rpc.backup_service import BACKUP_SERVICE, BackupService
from tocsin.alert.rpc.convert import encode_alert, encode_event
from tocsin.alert.rpc.reads import Reads
from tocsin.alert.rpc.registry import Registry
from tocsin.alert.rpc.watch import Watch
from tocsin.alert.sweep.parts import Sweeps
from tocsin.api.alert.v1.alert_service_pb2_grpc import add_AlertServiceServicer_to_server
from tocsin.api.alert.v1.backup_service_pb2_grpc import add_BackupServiceServicer_to_server
from tocsin.common.clock import SystemClock
from tocsin.common.postgres.engine import Database
from tocsin.common.postgres.listener import Listener
from tocsin.common.postgres.preparation import prepare
from tocsin.common.postgres.reachable import is_reachable
from tocsin.common.rpc.probes import Probes
from tocsin.common.rpc.server import RpcServer

if TYPE_CHECKING:
    from tocsin.alert.config import AlertSettings
    from tocsin.common.clock import Clock
    from tocsin.common.lifecycle import Lifecycle

MIGRATIONS = Path(__file__).parent / "store" / "migrations"
# Connections that no call can take, however many hang: for the ledger and what runs beside it.
WRITERS = 4
NEEDS = {ALERT_SERVICE: ("database", "tail", "ledger"), BACKUP_SERVICE: ("database", "ledger")}

_log = structlog.get_logger(__name__)


class AlertApp:
    """tocsin-alert in this process: `start`, then `port` says where it listens, then `stop`.

    Several may run in one process, each on a port of its own.
    """

    def __init__(self, settings: AlertSettings, *, clock: Clock | None = None) -> None:
        self.port = 0
        self._settings = settings
        self._clock = clock or SystemClock()
        self._url = settings.database_url.get_secret_value()
        self._running: AsyncExitStack | None = None

        readers = settings.database_connections - WRITERS
        self._database = Database(self._url, application_name="tocsin-alert", pool_size=WRITERS)
        self._reading = Database(self._url, application_name="tocsin-alert", pool_size=readers)
        self._broadcast = Broadcast()
        self._tail = Tail(self._database, self._broadcast)
        pause = timedelta(milliseconds=settings.notify_pause_ms)
        self._wakeup = Wakeup(self._database, pause=pause)
        self._ledger = Ledger(
            self._database,
            encode_event=encode_event,
            on_commit=self._on_commit,
            clock=self._clock,
            max_batch=settings.max_batch,
            max_queue=settings.max_queue,
        )
        self._watch = Watch(self._reading, self._broadcast, encode_alert=encode_alert)

    async def start(self) -> None:
        """Serve. What has begun is stopped again when the rest fails.

        Raises UnreachableError, MigrationError, UnavailableError or ListenError.
        """
        if self._running is not None:
            return
        async with AsyncExitStack() as running:
            await prepare(
                self._url,
                MIGRATIONS,
                patience=self._settings.database_wait,
                migrate_first=self._settings.migrate_on_start,
            )
            running.push_async_callback(self._database.close)
            running.push_async_callback(self._reading.close)
            self._watch.open()
            for part in self._background():
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

    def _background(self) -> list[Lifecycle]:
        database, ledger, clock = self._database, self._ledger, self._clock
        settings = self._settings
        retention = Retention(timedelta(days=settings.retention_days), settings.retention_revisions)
        return [
            self._tail,
            Listener(self._url, CHANNEL, lambda _: self._tail.wake()),
            self._wakeup,
            ledger,
            *Sweeps(database, ledger, clock).loops(
                suppression_grace=settings.suppression_grace, job_retention=settings.job_retention
            ),
            Compaction(database, clock=clock, retention=retention),
        ]

    async def _serve(self, running: AsyncExitStack) -> None:
        limit = self._settings.max_message_bytes
        rpc = RpcServer(self._settings.listen, needs=NEEDS, max_message_bytes=limit)
        alerts = AlertService(self._ledger, Reads(self._reading), self._watch, self._clock)
        registry = Registry(self._reading, self._clock)
        backups = BackupService(self._ledger, registry, self._clock)
        add_AlertServiceServicer_to_server(alerts, rpc.server)
        add_BackupServiceServicer_to_server(backups, rpc.server)
        self.port = await rpc.start()
        running.push_async_callback(rpc.drain, self._settings.drain)
        probes = Probes(
            rpc.readiness,
            {
                "database": partial(is_reachable, self._database),
                "tail": lambda: self._tail.running,
                "ledger": lambda: self._ledger.is_running,
            },
        )
        await probes.start()
        running.push_async_callback(probes.stop)

    def _on_commit(self) -> None:
        self._tail.wake()
        self._wakeup.poke()
