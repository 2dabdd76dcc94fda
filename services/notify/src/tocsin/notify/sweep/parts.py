"""The sweeps of one process, each in a loop of its own: none waits for another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from tocsin.common.lifecycle import BackgroundLoop
from tocsin.notify.sweep.alert_calls import AlertCalls
from tocsin.notify.sweep.canary import CanaryRule, CanarySweep
from tocsin.notify.sweep.channel_failures import ChannelFailureSweep
from tocsin.notify.sweep.flap_ends import FlapEnds
from tocsin.notify.sweep.heartbeat import HttpHeartbeat
from tocsin.notify.sweep.proofs import ProofSweep
from tocsin.notify.sweep.reminders import ReminderSweep

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import timedelta

    import grpc.aio
    from pydantic import SecretStr

    from tocsin.common.clock import Clock
    from tocsin.common.lifecycle import Lifecycle
    from tocsin.common.postgres.engine import Database
    from tocsin.notify.channels.address_guard import Network


class SweepSettings(Protocol):
    """What the sweeps need of the settings of the service."""

    @property
    def allowed_networks(self) -> Sequence[Network]: ...
    @property
    def canary_channel(self) -> str: ...
    @property
    def canary_period(self) -> timedelta: ...
    @property
    def heartbeat_url(self) -> SecretStr | None: ...
    @property
    def channel_failing_after(self) -> timedelta: ...


class Sweeps:
    """All of them. `alert` is a channel to the alert service, the caller's to close.

    `on_change` is called when there is something new to deliver.
    """

    def __init__(
        self,
        settings: SweepSettings,
        database: Database,
        alert: grpc.aio.Channel,
        *,
        clock: Clock,
        on_change: Callable[[], None],
    ) -> None:
        calls = AlertCalls(alert)
        reminders = ReminderSweep(database, clock=clock, on_change=on_change)
        proofs = ProofSweep(database, calls, clock=clock, on_change=on_change)
        failures = ChannelFailureSweep(
            database, calls, clock=clock, after=settings.channel_failing_after
        )
        self._parts: list[Lifecycle] = [
            FlapEnds(database, clock=clock, on_change=on_change),
            BackgroundLoop("reminders", reminders.step),
            BackgroundLoop("proofs", proofs.step),
            BackgroundLoop("channel failures", failures.step),
        ]
        if settings.canary_channel:
            canary = _canary(settings, database, calls, clock)
            self._parts.append(BackgroundLoop("canary", canary.step))

    @property
    def parts(self) -> Sequence[Lifecycle]:
        """Each of them."""
        return tuple(self._parts)

    async def start(self) -> None:
        for part in self._parts:
            await part.start()

    async def stop(self) -> None:
        for part in reversed(self._parts):
            await part.stop()


def _canary(
    settings: SweepSettings, database: Database, calls: AlertCalls, clock: Clock
) -> CanarySweep:
    url = settings.heartbeat_url
    return CanarySweep(
        database,
        calls,
        clock=clock,
        rule=CanaryRule(settings.canary_channel, settings.canary_period),
        heartbeat=HttpHeartbeat(url.get_secret_value(), settings.allowed_networks, clock=clock)
        if url is not None
        else None,
    )
