"""All that tocsin-notify shows of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.common.telemetry.loops import LoopMeasures, PoolMeasures
from tocsin.common.telemetry.telemetry import Telemetry
from tocsin.notify.store.channel_health import ChannelHealthStore
from tocsin.notify.telemetry.sending import DeliveryMeasures, WatchedSenders
from tocsin.notify.telemetry.standing import StandingMeasures

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opentelemetry.trace import TracerProvider

    from tocsin.common.clock import Clock
    from tocsin.common.postgres.engine import Database
    from tocsin.notify.channels.registry import Senders
    from tocsin.notify.config import NotifySettings


class NotifyTelemetry(Telemetry):
    """Measures one application."""

    def __init__(
        self, settings: NotifySettings, clock: Clock, tracers: TracerProvider | None = None
    ) -> None:
        super().__init__("tocsin-notify", settings, tracers=tracers)
        self._clock = clock
        self._deliveries = DeliveryMeasures(clock)

    def watched(self, senders: Senders) -> Senders:
        """Return senders whose every attempt is measured and traced."""
        return WatchedSenders(senders, self._deliveries, self.tracer)

    def show(self, database: Database, loops: Iterable[object]) -> None:
        """Read these parts too. Call it once."""
        health = ChannelHealthStore(database)
        self.add(
            self._deliveries,
            StandingMeasures(database, health, self._clock),
            PoolMeasures(self.prefix, {"all": database}),
            LoopMeasures(self.prefix, loops),
        )
