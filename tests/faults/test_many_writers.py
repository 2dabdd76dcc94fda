"""Sixteen writers, three replicas, one log."""

from __future__ import annotations

import asyncio
import random
from contextlib import AsyncExitStack
from itertools import count, pairwise
from typing import TYPE_CHECKING, Any

import asyncpg
import grpc
import pytest

from support.processes import ServiceProcess, free_port, running
from tocsin.api.alert.v1 import alert_service_pb2 as rpc
from tocsin.api.alert.v1 import event_pb2
from tocsin.api.alert.v1.alert_service_pb2_grpc import AlertServiceStub

if TYPE_CHECKING:
    from pathlib import Path

    from tocsin.api.alert.v1.alert_service_pb2_grpc import AlertServiceAsyncStub

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

WRITERS = 16
TRANSITIONS = 20_000
SEED = 20_261_121


class Writer:
    """Raises and clears its own share of transitions on keys that all writers share.

    `standing` holds what the writers believe is raised: a guess, so that most calls change
    something. A call that a busy machine does not answer in time is made again.
    """

    def __init__(self, stub: AlertServiceAsyncStub, number: int, standing: set[str]) -> None:
        self._stub = stub
        self._standing = standing
        self._random = random.Random(SEED + number)
        self._request_ids = (f"{number}-{call}" for call in count())
        self.transitions = 0

    async def write(self, wanted: int) -> None:
        while self.transitions < wanted:
            host = f"host-{self._random.randrange(200)}"
            if host not in self._standing:
                self._standing.add(host)
                raised = await self._answer(self._stub.RaiseOrTouch, rpc.RaiseOrTouchRequest, host)
                self.transitions += raised.outcome == rpc.RAISE_OUTCOME_RAISED
            else:
                self._standing.discard(host)
                cleared = await self._answer(self._stub.AutoResolve, rpc.AutoResolveRequest, host)
                self.transitions += cleared.outcome == rpc.CLEAR_OUTCOME_RESOLVED

    async def _answer(self, call: Any, kind: Any, host: str) -> Any:
        request = kind(
            host_id=host,
            kind="backup_failed",
            dedup_key="data",
            request_id=next(self._request_ids),
        )
        while True:
            try:
                return await call(request)
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE:
                    raise


class Watcher:
    """Follows the log, leaving at random and resuming at a random replica."""

    def __init__(self, stubs: list[AlertServiceAsyncStub]) -> None:
        self._stubs = stubs
        self._random = random.Random(SEED)
        self.events: list[event_pb2.AlertEvent] = []
        self.reconnects = 0
        self._position = event_pb2.Position()
        self.last_revision: int | None = None

    async def follow(self) -> None:
        while not self._done():
            await self._one_stream(messages=self._random.randint(1, 40))
            self.reconnects += 1

    async def _one_stream(self, messages: int) -> None:
        stub = self._random.choice(self._stubs)
        stream = stub.WatchEvents(rpc.WatchEventsRequest(after=self._position))
        async for message in stream:
            self.events.extend(message.events)
            self._position = message.position
            messages -= 1
            if messages == 0 or self._done():
                break
        stream.cancel()

    def _done(self) -> bool:
        return self.last_revision is not None and self._position.revision >= self.last_revision


async def test_sixteen_writers_on_three_replicas_leave_a_log_without_gap_repeat_or_disorder(
    alert_url: str, tmp_path: Path
) -> None:
    services = [_replica(alert_url, tmp_path, number) for number in range(3)]
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(running(*services))
        stubs = [
            AlertServiceStub(
                await stack.enter_async_context(grpc.aio.insecure_channel(service.target))
            )
            for service in services
        ]
        standing: set[str] = set()
        writers = [Writer(stubs[number % 3], number, standing) for number in range(WRITERS)]
        watcher = Watcher(stubs)
        following = asyncio.create_task(watcher.follow())

        await asyncio.gather(*(writer.write(TRANSITIONS // WRITERS) for writer in writers))

        written = await _written(alert_url)
        watcher.last_revision = len(written)
        # One more event wakes a watcher that waits at the very end of the log.
        await stubs[0].RaiseOrTouch(rpc.RaiseOrTouchRequest(host_id="last", kind="backup_failed"))
        await following

    assert list(range(1, len(written) + 1)) == [revision for revision, _ in written]
    assert sum(writer.transitions for writer in writers) == len(written)
    assert len(written) >= TRANSITIONS
    assert await _open_rows_beyond_one_per_key(alert_url) == 0
    assert watcher.reconnects > 20
    seen = [event.position.revision for event in watcher.events]
    assert list(range(1, len(seen) + 1)) == seen
    assert len(seen) >= len(written)
    _assert_each_alert_lives_in_order(watcher.events)


def _assert_each_alert_lives_in_order(events: list[event_pb2.AlertEvent]) -> None:
    """Per alert: raised, then resolved, with rising versions; per key, one alert at a time."""
    by_alert: dict[str, list[event_pb2.AlertEvent]] = {}
    open_alert: dict[str, str] = {}
    for event in events:
        by_alert.setdefault(event.alert.alert_id, []).append(event)
        if event.type == event_pb2.ALERT_EVENT_TYPE_RAISED:
            assert event.alert.host_id not in open_alert
            open_alert[event.alert.host_id] = event.alert.alert_id
        else:
            assert open_alert.pop(event.alert.host_id) == event.alert.alert_id
    for life in by_alert.values():
        assert life[0].type == event_pb2.ALERT_EVENT_TYPE_RAISED
        assert all(before.alert.version < after.alert.version for before, after in pairwise(life))


def _replica(url: str, folder: Path, number: int) -> ServiceProcess:
    port = free_port()
    environment = {
        "TOCSIN_ALERT_DATABASE_URL": url,
        "TOCSIN_ALERT_LISTEN": f"127.0.0.1:{port}",
        "TOCSIN_ALERT_INSECURE_DEV": "true",
    }
    return ServiceProcess("tocsin.alert", environment, port, folder / f"alert-{number}.log")


async def _written(url: str) -> list[tuple[int, str]]:
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch("SELECT revision, alert_id FROM events ORDER BY revision")
        return [(row["revision"], str(row["alert_id"])) for row in rows]
    finally:
        await connection.close()


async def _open_rows_beyond_one_per_key(url: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        return int(
            await connection.fetchval(
                "SELECT count(*) FROM (SELECT 1 FROM alerts WHERE resolve_time IS NULL"
                " GROUP BY host_id, kind, dedup_key HAVING count(*) > 1) AS doubled"
            )
        )
    finally:
        await connection.close()
