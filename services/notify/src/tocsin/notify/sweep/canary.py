"""The canary: a synthetic alert goes the whole way, and a heartbeat goes out if it arrived.

Whoever waits for the heartbeat learns that the alarm bell itself has stopped: the alert service,
the stream, notify, or the channel.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

import structlog

from tocsin.client.errors import CallError
from tocsin.common.ids import uuid7
from tocsin.notify.domain.delivery import DeliveryState
from tocsin.notify.store import canary_runs, inbox

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from tocsin.common.clock import Clock
    from tocsin.common.ids import NewId
    from tocsin.common.postgres.engine import Database
    from tocsin.notify.store.canary_runs import CanaryRun, Stage
    from tocsin.notify.sweep.alert_calls import AlertCalls

# How late it may be seen that a canary arrived.
REST = timedelta(seconds=1)

_log = structlog.get_logger(__name__)


class Heartbeat(Protocol):
    """Sends the sign of life."""

    async def send(self) -> bool:
        """Send it, and return whether it was accepted. Never raises for what a far side does."""
        ...


@dataclass(frozen=True, slots=True)
class CanaryRule:
    """Through which channel, by its name or id, and how often."""

    channel: str
    period: timedelta


class CanarySweep:
    """Sends canaries and follows them; `step` is for a BackgroundLoop.

    Several processes may do it at once: one of them begins each run, and any follows it.
    """

    def __init__(
        self,
        database: Database,
        calls: AlertCalls,
        *,
        clock: Clock,
        rule: CanaryRule,
        heartbeat: Heartbeat | None,
        new_id: NewId = uuid7,
    ) -> None:
        self._database = database
        self._calls = calls
        self._clock = clock
        self._rule = rule
        self._heartbeat = heartbeat
        self._new_id = new_id

    async def step(self) -> timedelta:
        """Follow the run that is under way, or begin the next, and return how long to rest."""
        async with self._database.connection() as connection:
            channel_id = await canary_runs.channel_of(connection, self._rule.channel)
            run = await canary_runs.latest(connection)
            is_following = await inbox.read_cursor(connection) is not None
        if channel_id is None:
            _log.error("canary_channel_unknown", canary_channel=self._rule.channel)
            return min(self._rule.period, timedelta(minutes=1))
        if not is_following:  # what was raised before the first start is never told
            return REST
        if run is not None:
            run = await self._follow(run, channel_id)
        if run is None or self._clock.now() - run.start_time >= self._rule.period:
            await self._begin(run, channel_id)
        return REST

    async def _follow(self, run: CanaryRun, channel_id: UUID) -> CanaryRun:
        if run.arrive_time is None and run.alert_id is not None:
            await self._look(run, run.alert_id, channel_id)
        async with self._database.connection() as connection:
            run = await canary_runs.latest(connection) or run
        if run.heartbeat_time is None and self._is_in_time(run, self._clock.now()):
            await self._beat(run)
        return run

    def _is_in_time(self, run: CanaryRun, now: datetime) -> bool:
        """Whether it arrived within its period, which is not over yet."""
        if run.arrive_time is None:
            return False
        last = run.start_time + self._rule.period
        return run.arrive_time <= last and now <= last

    async def _look(self, run: CanaryRun, alert_id: UUID, channel_id: UUID) -> None:
        async with self._database.connection() as connection:
            time = await canary_runs.delivered_time(connection, alert_id, channel_id)
            if time is None or not await canary_runs.note_arrived(connection, run.run_id, time):
                return
        try:
            await self._calls.resolve_canary()
        except CallError as error:  # the next run resolves it
            _log.warning("canary_unresolved", error=str(error))

    async def _beat(self, run: CanaryRun) -> None:
        if self._heartbeat is None or not await self._heartbeat.send():
            return
        async with self._database.connection() as connection:
            await canary_runs.note_heartbeat(connection, run.run_id, self._clock.now())

    async def _begin(self, before: CanaryRun | None, channel_id: UUID) -> None:
        now, run_id = self._clock.now(), self._new_id()
        async with self._database.transaction() as connection:
            if not await canary_runs.begin(connection, run_id, now, self._rule.period):
                return
        if before is not None and before.arrive_time is None:
            await self._tell_stuck(before, channel_id)
        try:
            await self._calls.resolve_canary()  # one that got stuck would only be touched
            alert_id = await self._calls.raise_canary(channel_id)
        except CallError as error:
            await self._note(run_id, f"tocsin-alert did not take it: {error}")
            return
        if alert_id is None:
            await self._note(run_id, "tocsin-alert took it for an old one: look at its clock.")
            return
        async with self._database.connection() as connection:
            await canary_runs.note_raised(connection, run_id, alert_id)

    async def _tell_stuck(self, run: CanaryRun, channel_id: UUID) -> None:
        problem = run.problem
        if run.alert_id is not None:
            async with self._database.connection() as connection:
                stage = await canary_runs.stage_of(connection, run.alert_id, channel_id)
            problem = problem_of(stage)
            await self._note(run.run_id, problem)
        _log.error("canary_stuck", run_id=str(run.run_id), problem=problem)

    async def _note(self, run_id: UUID, problem: str) -> None:
        async with self._database.connection() as connection:
            await canary_runs.note_problem(connection, run_id, problem)


def problem_of(stage: Stage) -> str:
    """Say where a canary got stuck that the alert service took."""
    if stage.state is not None:
        state = DeliveryState(stage.state).name
        met = f": {stage.state_reason}" if stage.state_reason else ""
        return f"The channel has not accepted it: it is {state}{met}"
    if stage.is_addressed_to_nobody:
        return "It was addressed to nobody: the channel is disabled."
    return "Notify has not heard of it from tocsin-alert."
