"""A million raises over twenty thousand keys, while everything is killed every few seconds.

A raise is repeated with its own request_id until it is answered, so each is counted by exactly
one alert, whatever died meanwhile.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import grpc
import pytest

from support.kill_ground import (
    DRAIN_SECONDS,
    PATIENT,
    Acknowledged,
    Stack,
    Watcher,
    fetch,
    happened,
    running_stack,
)
from support.processes import IMPATIENT
from support.told import Told, broken_promises, told_by_webhook
from support.waiting import eventually
from tocsin.api.alert.v1 import alert_service_pb2 as rpc
from tocsin.api.alert.v1 import event_pb2
from tocsin.client import AlertClient, FailedPreconditionError, requests
from tocsin.notify.delivery.pace import MOST_IN_HAND

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from support.figures import Figures
    from tocsin.common.postgres.embedded import Binaries

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_500)]

WATCHERS = 4
WRITERS = 4
BATCH = 1_000
ACTS_TO_A_BATCH = 5
HOSTS = 400
# What a batch may meet: it is tried again as it is.
_UNTRIED = {grpc.StatusCode.UNAVAILABLE.value[0], grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]}
_PATIENT = replace(PATIENT, attempt=timedelta(seconds=10))
_OCCURRENCES = "SELECT sum(occurrences) AS occurrences, count(*) AS alerts FROM alerts"


@dataclass(frozen=True)
class Size:
    """How much there is to do, at most for how long, and how often something is killed."""

    raises: int
    keys: int
    seconds: float
    service_every: float
    postgres_every: float
    least_kills: int


SMALL = Size(20_000, 400, 30, service_every=1.5, postgres_every=2.5, least_kills=3)
LARGE = Size(1_000_000, 20_000, 300, service_every=2, postgres_every=5, least_kills=50)


class Kills:
    """Kills a random service, and PostgreSQL, each at its own pace; all of it starts again."""

    def __init__(self, stack: Stack, size: Size, dice: random.Random) -> None:
        self._stack = stack
        self._size = size
        self._random = dice
        self._over = asyncio.Event()
        self.counts: Counter[str] = Counter()

    async def go_on(self) -> None:
        """Kill until told to stop; then all runs, or is starting."""
        await asyncio.gather(
            self._every(self._size.service_every, self._kill_service),
            self._every(self._size.postgres_every, self._kill_postgres),
        )

    def stop(self) -> None:
        self._over.set()

    async def _every(self, seconds: float, kill: Callable[[], Awaitable[None]]) -> None:
        while not await self._is_over_within(seconds):
            await kill()

    async def _is_over_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._over.wait()
        return self._over.is_set()

    async def _kill_service(self) -> None:
        name = self._random.choice(("alert", "notify"))
        self.counts[name] += 1
        await (self._stack.kill_alert() if name == "alert" else self._stack.kill_notify())

    async def _kill_postgres(self) -> None:
        self.counts["postgres"] += 1
        await self._stack.kill_postgres()


class Load:
    """Raises in batches, with a few clears and acts of people between them."""

    def __init__(self, stack: Stack, size: Size, seed: int, kills: Kills) -> None:
        self.said = Acknowledged()
        self.sent = 0
        self.outcomes: Counter[int] = Counter()
        self._alerts = AlertClient(stack.channel, retry=_PATIENT)
        self._size = size
        self._seed = seed
        self._kills = kills
        self._end = time.monotonic() + size.seconds

    async def write(self) -> None:
        """Write until all is raised and enough was killed, or the time is over."""
        await asyncio.gather(*(self._writer(number) for number in range(WRITERS)))

    def _is_over(self) -> bool:
        is_enough = self._kills.counts.total() >= self._size.least_kills
        return time.monotonic() > self._end or (self.sent >= self._size.raises and is_enough)

    async def _writer(self, number: int) -> None:
        dice = random.Random(f"{self._seed}/{number}")
        while not self._is_over():
            self.sent += BATCH
            answers = await self._raise([self._report(dice) for _ in range(BATCH)])
            for _ in range(ACTS_TO_A_BATCH):
                await self._act(dice, dice.choice(answers).alert.alert_id)

    def _key(self, dice: random.Random) -> tuple[str, str, str]:
        number = dice.randrange(self._size.keys)
        return f"host-{number % HOSTS}", "backup_failed", str(number)

    def _report(self, dice: random.Random) -> rpc.RaiseOrTouchRequest:
        return requests.raise_or_touch(*self._key(dice), request_id=f"{dice.getrandbits(96):x}")

    async def _raise(
        self, reports: list[rpc.RaiseOrTouchRequest]
    ) -> list[rpc.RaiseOrTouchResponse]:
        """Send a batch until each of it is answered."""
        answers: list[rpc.RaiseOrTouchResponse] = []
        while reports:
            batch = await self._alerts.batch_raise_or_touch(reports)
            untried = []
            for report, result in zip(reports, batch.results, strict=True):
                if result.HasField("response"):
                    answers.append(result.response)
                else:
                    assert result.error.code in _UNTRIED, result.error
                    untried.append(report)
            reports = untried
        for answer in answers:
            self.outcomes[answer.outcome] += 1
            if answer.outcome == rpc.RAISE_OUTCOME_RAISED:
                await self.said.add(answer.alert.alert_id, event_pb2.ALERT_EVENT_TYPE_RAISED)
        return answers

    async def _act(self, dice: random.Random, alert_id: str) -> None:
        chance = dice.random()
        if chance < 0.6:
            cleared = await self._alerts.auto_resolve(*self._key(dice))
            if cleared.outcome == rpc.CLEAR_OUTCOME_RESOLVED:
                await self.said.add(cleared.alert.alert_id, event_pb2.ALERT_EVENT_TYPE_RESOLVED)
        elif chance < 0.8:
            with suppress(FailedPreconditionError):  # another writer has resolved it
                if (await self._alerts.acknowledge(alert_id)).changed:
                    await self.said.add(alert_id, event_pb2.ALERT_EVENT_TYPE_ACKNOWLEDGED)
        elif (await self._alerts.resolve(alert_id)).changed:
            await self.said.add(alert_id, event_pb2.ALERT_EVENT_TYPE_RESOLVED)


@pytest.mark.parametrize(
    "size",
    [pytest.param(SMALL, id="small"), pytest.param(LARGE, id="large", marks=pytest.mark.long)],
)
async def test_each_raise_is_counted_once_and_each_event_is_seen_and_told_whatever_is_killed(
    postgres_binaries: Binaries, tmp_path: Path, seed: int, figures: Figures, size: Size
) -> None:
    async with running_stack(postgres_binaries, tmp_path) as stack, AsyncExitStack() as exits:
        kills = Kills(stack, size, random.Random(seed))
        load = Load(stack, size, seed, kills)
        watchers = [watcher async for watcher in _watchers(stack, exits)]

        await _write_under(kills, load)
        await stack.alert.serving()
        await stack.notify.serving()
        log = await stack.log()
        for watcher in watchers:
            await asyncio.wait_for(watcher.reaches(len(log)), DRAIN_SECONDS)
        await eventually(partial(stack.has_ended_all, len(log)), within=DRAIN_SECONDS)

        found = await _found(stack, load, watchers)
        told = told_by_webhook(stack.receiver.requests)
        deaths = kills.counts["notify"] + kills.counts["postgres"]
        figures.record(
            fault="kills",
            seed=seed,
            raises=load.sent,
            keys=size.keys,
            killed_services=kills.counts["alert"] + kills.counts["notify"],
            killed_PostgreSQL=kills.counts["postgres"],
            events=len(log),
            webhooks=len(told),
            webhooks_that_came_twice=_twice(told),
            **found,
        )
        assert {} == {name: count for name, count in found.items() if count}
        assert _twice(told) <= await stack.broken_off()
        assert _twice(told) <= deaths * MOST_IN_HAND
        assert [] == broken_promises(happened(log), told)[:10]
        assert kills.counts.total() >= size.least_kills


async def _watchers(stack: Stack, exits: AsyncExitStack) -> AsyncIterator[Watcher]:
    """Start watchers, each over a connection of its own, that follow until the end."""
    for _ in range(WATCHERS):
        channel = grpc.aio.insecure_channel(stack.alert.target, options=IMPATIENT)
        await exits.enter_async_context(channel)
        watcher = Watcher(channel)
        exits.push_async_callback(_cancelled, asyncio.create_task(watcher.follow()))
        yield watcher


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def _write_under(kills: Kills, load: Load) -> None:
    killing = asyncio.create_task(kills.go_on())
    try:
        await load.write()
    finally:
        kills.stop()
        await killing


async def _found(stack: Stack, load: Load, watchers: list[Watcher]) -> dict[str, int]:
    """Count what must not be, each by the words for it."""
    log = await stack.log()
    known = Counter((str(row["alert_id"]), row["type"]) for row in log)
    whole = list(range(1, len(log) + 1))
    [row] = await fetch(stack.cluster, "tocsin_alert", _OCCURRENCES)
    counted = load.outcomes[rpc.RAISE_OUTCOME_RAISED] + load.outcomes[rpc.RAISE_OUTCOME_TOUCHED]
    deliveries = await stack.deliveries()
    told = told_by_webhook(stack.receiver.requests)
    return {
        "transitions_lost": (Counter(load.said.transitions) - known).total(),
        "raises_not_counted_once": abs(counted - int(row["occurrences"])),
        "keys_with_two_open_alerts": await stack.keys_with_two_open_alerts(),
        "gaps_in_the_log": sum(row["revision"] != at for at, row in enumerate(log, start=1)),
        "watchers_that_missed_doubled_or_disordered": sum(
            watcher.revisions != whole or watcher.synthetic > 0 for watcher in watchers
        ),
        "undelivered": deliveries.get("dead", 0),
        "webhooks_of_two_ids": len({each.event_id for each in told})
        - len({(each.alert_id, each.revision) for each in told}),
    }


def _twice(told: list[Told]) -> int:
    return len(told) - len({each.event_id for each in told})
