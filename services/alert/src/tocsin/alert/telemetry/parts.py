"""All that tocsin-alert shows of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.alert.telemetry.lane import LaneMeasures
from tocsin.alert.telemetry.standing import StandingMeasures
from tocsin.alert.telemetry.stream import StreamMeasures
from tocsin.common.telemetry.loops import LoopMeasures, PoolMeasures
from tocsin.common.telemetry.telemetry import Telemetry

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opentelemetry.trace import TracerProvider

    from tocsin.alert.config import AlertSettings
    from tocsin.alert.eventlog.broadcast import Broadcast
    from tocsin.alert.ledger import Ledger
    from tocsin.common.clock import Clock
    from tocsin.common.postgres.engine import Database

_MORE_PORTS = 63


class AlertTelemetry(Telemetry):
    """Measures one application. `lane` is told of each batch, `calls` of each call."""

    def __init__(self, settings: AlertSettings, tracers: TracerProvider | None = None) -> None:
        more_ports = _MORE_PORTS if settings.workers > 1 else 0
        super().__init__("tocsin-alert", settings, tracers=tracers, more_ports=more_ports)
        self.lane = LaneMeasures()

    def show(
        self,
        *,
        ledger: Ledger,
        broadcast: Broadcast,
        pools: dict[str, Database],
        loops: Iterable[object],
        clock: Clock,
    ) -> None:
        """Read these parts too. Call it once. `pools` has one that is named `reading`."""
        self.lane.waiting = lambda: ledger.waiting
        self.add(
            self.lane,
            StreamMeasures(broadcast),
            StandingMeasures(pools["reading"], clock),
            PoolMeasures(self.prefix, pools),
            LoopMeasures(self.prefix, loops),
        )
