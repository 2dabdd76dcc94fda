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
from functools import partial
from math import inf
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
from support.kills import Kills, Size
from support.told import Told, broken_promises, told_by_webhook
from support.waiting import eventually
from tocsin.api.alert.v1 import alert_service_pb2 as rpc
from tocsin.api.alert.v1 import event_pb2
from tocsin.api.alert.v1.alert_service_pb2_grpc import AlertServiceStub
from tocsin.client import AlertClient, FailedPreconditionError, requests
from tocsin.notify.delivery.pace import MOST_IN_HAND

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from support.figures import Figures
    from tocsin.api.alert.v1.alert_service_pb2_grpc import AlertServiceAsyncStub
    from tocsin.common.postgres.embedded import Binaries

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3_600)]

WATCHERS = 4
WRITERS = 6
BATCH = 250
ACTS_TO_A_BATCH = 2
HOSTS = 400
# What a batch may meet: it is tried again as it is.
_UNTRIED = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
}
_UNTRIED_CODES = {code.value[0] for code in _UNTRIED}
_PATIENCE_SECONDS = 10.0
# Sooner than the service asks for: there is to be load at every moment.
_PAUSE_SECONDS = 0.05
_OCCURRENCES = "SELECT sum(occurrences) AS occurrences, count(*) AS alerts FROM alerts"


SMALL = Size(20_000, 400, 30, service_every=1.5, postgres_every=2.5, least_kills=3, replicas=1)
LARGE = Size(
    1_000_000,
    20_000,
    300,
    service_every=2,
    postgres_every=5,
    least_kills=50,
    replicas=2,
)


class Load:
    """Raises in batches, with a few clears and acts of people between them."""

    def __init__(self, stack: Stack, size: Size, seed: int, kills: Kills, *, whole: bool) -> None:
        self.said = Acknowledged()
        self.sent = 0
        self.outcomes: Counter[int] = Counter()
        self._alerts = AlertClient(stack.channel, retry=PATIENT)
        self._stub: AlertServiceAsyncStub = AlertServiceStub(stack.channel)
        self._size = size
        self._seed = seed
        self._kills = kills
        self._end = inf if whole else time.monotonic() + size.seconds

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
            chosen = [dice.choice(answers).alert.alert_id for _ in range(ACTS_TO_A_BATCH)]
            await asyncio.gather(*(self._act(dice, alert_id) for alert_id in chosen))

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
            reports = await self._attempt(reports, answers)
        for answer in answers:
            self.outcomes[answer.outcome] += 1
            if answer.outcome == rpc.RAISE_OUTCOME_RAISED:
                await self.said.add(answer.alert.alert_id, event_pb2.ALERT_EVENT_TYPE_RAISED)
        return answers

    async def _attempt(
        self, reports: list[rpc.RaiseOrTouchRequest], answers: list[rpc.RaiseOrTouchResponse]
    ) -> list[rpc.RaiseOrTouchRequest]:
        """Send reports once, and add to the answers; return those that must be sent again."""
        call = self._stub.BatchRaiseOrTouch(
            rpc.BatchRaiseOrTouchRequest(requests=reports), timeout=_PATIENCE_SECONDS
        )
        code = await call.code()
        assert code in {grpc.StatusCode.OK, *_UNTRIED}, (code, await call.details())
        untried = reports
        if code is grpc.StatusCode.OK:
            results = list(zip(reports, (await call).results, strict=True))
            refused = {each.error.code for _, each in results if not each.HasField("response")}
            assert refused <= _UNTRIED_CODES, refused
            answers += [each.response for _, each in results if each.HasField("response")]
            untried = [report for report, each in results if not each.HasField("response")]
        if untried:
            await asyncio.sleep(_PAUSE_SECONDS)  # as clients wait before they try again
        if self._is_over():  # what is left is answered in peace
            self._kills.stop()
        return untried

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
    postgres_binaries: Binaries,
    tmp_path: Path,
    *,
    seed: int,
    whole: bool,
    figures: Figures,
    size: Size,
) -> None:
    async with AsyncExitStack() as exits:
        stack = await exits.enter_async_context(
            running_stack(postgres_binaries, tmp_path, size.replicas)
        )
        kills = Kills(stack, size, random.Random(seed))
        load = Load(stack, size, seed, kills, whole=whole)
        watchers = [watcher async for watcher in _watchers(stack, exits)]

        began = time.monotonic()
        await _write_under(kills, load)
        raising = time.monotonic() - began
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
            raises_wanted=size.raises,
            raising_took_s=round(raising),
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
        channel = await exits.enter_async_context(stack.new_channel())
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
