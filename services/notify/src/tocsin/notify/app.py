"""The service, put together: `__init__` says of what, `start` in which order."""

from __future__ import annotations

import random
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from tocsin.common.clock import SystemClock
from tocsin.common.identity.security import Security
from tocsin.common.postgres.access import open_database, open_sessions, prepare_for
from tocsin.common.rpc.channel import open_channel
from tocsin.notify.channels.catalogue import SPECS
from tocsin.notify.channels.registry import Senders
from tocsin.notify.delivery.dispatcher import Dispatcher, DispatchOptions
from tocsin.notify.delivery.health import HealthRecord
from tocsin.notify.delivery.queue import DeliveryQueue
from tocsin.notify.delivery.retention import Retention
from tocsin.notify.follower.follower import Follower
from tocsin.notify.rpc.access import RULES
from tocsin.notify.services import Parts, make_probes, make_server
from tocsin.notify.store.catching_up import CatchingUp
from tocsin.notify.store.channels import ChannelStore
from tocsin.notify.store.sealing import Sealing
from tocsin.notify.sweep.parts import Sweeps
from tocsin.notify.telemetry.parts import NotifyTelemetry

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

    from tocsin.common.clock import Clock
    from tocsin.notify.config import NotifySettings

MIGRATIONS = Path(__file__).parent / "store" / "migrations"

_log = structlog.get_logger(__name__)


class NotifyApp:
    """tocsin-notify in this process: `start`, then `port` says where it listens, then `stop`.

    Several may run in one process. `senders` replaces those that send for real.
    """

    def __init__(
        self,
        settings: NotifySettings,
        *,
        clock: Clock | None = None,
        senders: Senders | None = None,
        tracers: TracerProvider | None = None,
    ) -> None:
        self.port = 0
        self._settings = settings
        self._clock = clock = clock or SystemClock()
        self._running: AsyncExitStack | None = None

        self._database = database = open_database(
            settings, "tocsin-notify", pool_size=settings.database_connections
        )
        self._sessions = open_sessions(settings, "tocsin-notify", database)
        self._security = Security(
            settings, database, database, program="tocsin-notify", rules=RULES, clock=clock
        )
        self._channels = ChannelStore(database, Sealing(settings.key()), clock)
        self._senders = senders or Senders(settings.allowed_networks, clock=clock)
        self.telemetry = NotifyTelemetry(settings, clock, tracers)
        queue = DeliveryQueue(
            database,
            clock=clock,
            lease=settings.lease,
            schedule=settings.retry_schedule,
            roll=random.random,
            specs=SPECS,
        )
        self._catching_up = CatchingUp(database, clock=clock, patience=settings.catch_up_wait)
        self._dispatcher = Dispatcher(
            queue,
            self._channels,
            self.telemetry.watched(self._senders),
            clock=clock,
            options=DispatchOptions(settings.lease, settings.channel_concurrency, settings.drain),
            ready=self._catching_up.is_over,
            health=partial(HealthRecord, database, clock=clock, rule=settings.breaker_rule),
        )
        self._retention = Retention(database, clock=clock, keep=settings.retention)
        self._alert = open_channel(settings.alert_target, settings.alert_credentials)
        wake = self._dispatcher.wake
        self._follower = Follower(
            self._sessions, self._alert, clock=clock, on_commit=wake, flap_rule=settings.flap_rule
        )
        self._sweeps = Sweeps(settings, database, self._alert, clock=clock, on_change=wake)
        loops = (self._security, self._retention, self._dispatcher, *self._sweeps.parts)
        self.telemetry.show(database, loops)

    async def start(self) -> None:
        """Serve. What has begun is stopped again when the rest fails.

        Raises UnreachableError, MigrationError, UnavailableError, ConfigError or ListenError.
        """
        if self._running is not None:
            return
        async with AsyncExitStack() as running:
            running.push_async_callback(self._database.close)
            running.push_async_callback(self._alert.close)
            running.push_async_callback(self._senders.close)
            running.push_async_callback(self._sessions.close)
            await prepare_for(self._settings, MIGRATIONS)
            for early in (self.telemetry, self._security):
                await early.start()
                running.push_async_callback(early.stop)
            await self._serve(running)
            self._catching_up.begin()
            for part in (self._retention, self._dispatcher, self._sweeps, self._follower):
                await part.start()
                running.push_async_callback(part.stop)
            self._running = running.pop_all()
        _log.info("serving", listen=self._settings.listen, port=self.port)

    async def stop(self) -> None:
        """Take in no more, finish what is being sent, and end all in the reverse order."""
        running, self._running = self._running, None
        if running is not None:
            await running.aclose()
            _log.info("stopped")

    async def _serve(self, running: AsyncExitStack) -> None:
        rpc = make_server(
            Parts(
                settings=self._settings,
                security=self._security,
                database=self._database,
                channels=self._channels,
                senders=self._senders,
                clock=self._clock,
                on_change=self._dispatcher.refresh,
                telemetry=self.telemetry,
            )
        )
        self.port = await rpc.start()
        running.push_async_callback(rpc.drain, self._settings.drain)
        probes = make_probes(rpc, self._database, self._follower, self._dispatcher)
        await probes.start()
        running.push_async_callback(probes.stop)
