"""Everything is killed, again and again, under load; afterwards the record is whole.

What is promised: no acknowledged transition is lost, no key ever has two alerts that are not
resolved, every delivery ends, and a message that comes twice bears the same id.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import pytest

from support.kill_ground import (
    DRAIN_SECONDS,
    PATIENT,
    Acknowledged,
    Stack,
    Watcher,
    happened,
    running_stack,
)
from support.told import broken_promises, told_by_webhook
from support.waiting import eventually
from tocsin.api.alert.v1 import alert_service_pb2 as rpc
from tocsin.api.alert.v1 import event_pb2
from tocsin.client import AlertClient, FailedPreconditionError

if TYPE_CHECKING:
    from pathlib import Path

    from tocsin.common.postgres.embedded import Binaries

# A slow machine needs its time: sixty deaths, and each life begins by loading Python and gRPC.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

KILLS_OF_EACH = 20
WRITERS = 8
KEYS = 60
SEED = 20_261_121
"""Change it to see another history; the order of kills and calls follows from it."""


class Writer:
    """Reports and acts at random by the client library, which repeats what was not answered."""

    def __init__(self, alerts: AlertClient, number: int, said: Acknowledged) -> None:
        self._alerts = alerts
        self._random = random.Random(SEED + number)
        self._said = said
        self._last_alert = ""
        self.stopping = False

    async def write(self) -> None:
        while not self.stopping:
            await self._random.choice((self._raise, self._raise, self._clear, self._act))()

    def _key(self) -> tuple[str, str, str]:
        number = self._random.randrange(KEYS)
        return f"host-{number % 20}", "backup_failed", str(number)

    async def _raise(self) -> None:
        answer = await self._alerts.raise_or_touch(*self._key())
        self._last_alert = answer.alert.alert_id
        if answer.outcome == rpc.RAISE_OUTCOME_RAISED:
            await self._said.add(answer.alert.alert_id, event_pb2.ALERT_EVENT_TYPE_RAISED)

    async def _clear(self) -> None:
        answer = await self._alerts.auto_resolve(*self._key())
        if answer.outcome == rpc.CLEAR_OUTCOME_RESOLVED:
            await self._said.add(answer.alert.alert_id, event_pb2.ALERT_EVENT_TYPE_RESOLVED)

    async def _act(self) -> None:
        if self._last_alert:
            await self._random.choice((self._acknowledge, self._resolve))(self._last_alert)

    async def _acknowledge(self, alert_id: str) -> None:
        with suppress(FailedPreconditionError):  # another writer has resolved it
            if (await self._alerts.acknowledge(alert_id)).changed:
                await self._said.add(alert_id, event_pb2.ALERT_EVENT_TYPE_ACKNOWLEDGED)

    async def _resolve(self, alert_id: str) -> None:
        if (await self._alerts.resolve(alert_id)).changed:
            await self._said.add(alert_id, event_pb2.ALERT_EVENT_TYPE_RESOLVED)


async def test_nothing_is_lost_or_doubled_when_all_is_killed_twenty_times_under_load(
    postgres_binaries: Binaries, tmp_path: Path
) -> None:
    async with running_stack(postgres_binaries, tmp_path) as stack:
        said = Acknowledged()
        alerts = AlertClient(stack.channel, retry=PATIENT)
        writers = [Writer(alerts, number, said) for number in range(WRITERS)]
        watcher = Watcher(stack.channel)
        following = asyncio.create_task(watcher.follow())
        writing = [asyncio.create_task(writer.write()) for writer in writers]

        await _kill_all(stack, said)
        for writer in writers:
            writer.stopping = True
        await asyncio.gather(*writing)
        await stack.serving()

        log = await stack.log()
        await asyncio.wait_for(watcher.reaches(len(log)), DRAIN_SECONDS)
        following.cancel()
        await eventually(partial(stack.has_ended_all, len(log)), within=DRAIN_SECONDS)

        assert Counter() == Counter(said.transitions) - Counter(
            (str(row["alert_id"]), row["type"]) for row in log
        )
        assert list(range(1, len(log) + 1)) == [row["revision"] for row in log]
        assert list(range(1, len(log) + 1)) == watcher.revisions
        assert watcher.synthetic == 0
        assert await stack.keys_with_two_open_alerts() == 0
        assert {"delivered", "superseded", "suppressed"} >= set(await stack.deliveries())
        assert [] == broken_promises(happened(log), told_by_webhook(stack.receiver.requests))


async def _kill_all(stack: Stack, said: Acknowledged) -> None:
    kills = [stack.kill_alert, stack.kill_notify_at_work, stack.kill_postgres] * KILLS_OF_EACH
    random.Random(SEED).shuffle(kills)
    for kill in kills:
        await asyncio.wait_for(said.grows(by=5), DRAIN_SECONDS)
        await kill()
