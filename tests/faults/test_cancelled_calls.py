"""Callers that go away: each call they leave behind is done whole or not at all."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import asyncpg
import grpc
import pytest

from support.alert import running_alert
from support.waiting import eventually
from tocsin.api.alert.v1 import alert_pb2
from tocsin.api.alert.v1 import alert_service_pb2 as pb
from tocsin.api.alert.v1 import backup_service_pb2 as hosts_pb

if TYPE_CHECKING:
    from support.alert import RunningAlert

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

SEED = 20_261_121
"""Change it to see other moments."""
CANCELLED_CALLS = 10_000
CALLERS = 64
KEYS = 400
SEVERITIES = [alert_pb2.SEVERITY_WARNING] * 3 + [alert_pb2.SEVERITY_CRITICAL]

# Calls that are cancelled one after the other on one connection come to the limit of its streams:
# the next ones are turned away before they begin.
REFUSED = {grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE}

OPEN_TRANSACTIONS = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
      AND (state LIKE 'idle in transaction%' OR backend_xid IS NOT NULL)
"""
# Every alert has its RAISED event, at most one SEVERITY_CHANGED, and stands as its last event says.
TORN_ALERTS = """
    SELECT count(*) FROM alerts LEFT JOIN LATERAL (
        SELECT array_agg(type ORDER BY revision) AS types, max(severity) AS severity
        FROM events WHERE events.alert_id = alerts.alert_id
    ) AS told ON true
    WHERE told.types IS NULL OR told.types NOT IN ('{1}', '{1,2}')
       OR told.severity <> alerts.severity
"""


@dataclass
class Callers:
    """Many callers, each of which gives up at a random moment of the time that a call takes.

    `patience_seconds` follows that time, so that a quarter of the calls is answered.
    """

    alert: RunningAlert
    random: random.Random = field(default_factory=lambda: random.Random(SEED))
    patience_seconds: float = 0.05
    ends: Counter[grpc.StatusCode] = field(default_factory=Counter)
    raises: list[pb.RaiseOrTouchRequest] = field(default_factory=list)
    answered: dict[str, str] = field(default_factory=dict)

    async def call_until_enough_gave_up(self) -> None:
        while self.ends[grpc.StatusCode.CANCELLED] < CANCELLED_CALLS:
            await self._one_call()

    async def _one_call(self) -> None:
        request, call = self._begin()
        moment = self.random.uniform(0, self.patience_seconds)
        giving_up = asyncio.get_running_loop().call_later(moment, call.cancel)
        try:
            answer = await call
        except (asyncio.CancelledError, grpc.aio.AioRpcError):
            code = grpc.StatusCode.CANCELLED if call.cancelled() else await call.code()
            assert code in REFUSED
            self.ends[code] += 1
            self.patience_seconds *= 1.01
        else:
            giving_up.cancel()
            self.ends[grpc.StatusCode.OK] += 1
            self.patience_seconds *= 0.97
            if isinstance(answer, pb.RaiseOrTouchResponse):
                self.answered[request.request_id] = answer.alert.alert_id

    def _begin(self) -> tuple[Any, Any]:
        chance = self.random.random()
        if chance < 0.8:
            request = self._raise()
            return request, self.alert.alerts.RaiseOrTouch(request)
        if chance < 0.9:
            return None, self.alert.alerts.ListAlerts(pb.ListAlertsRequest(page_size=10))
        host = hosts_pb.PutHostRequest(host_id=f"host-{self.random.randrange(50)}")
        host.name = host.labels["name"] = str(chance)
        return host, self.alert.backups.PutHost(host)

    def _raise(self) -> pb.RaiseOrTouchRequest:
        request = pb.RaiseOrTouchRequest(
            host_id="nas",
            kind="backup_failed",
            dedup_key=str(self.random.randrange(KEYS)),
            severity=self.random.choice(SEVERITIES),
            request_id=str(len(self.raises)),
        )
        self.raises.append(request)
        return request


async def test_10_000_calls_cancelled_at_random_moments_are_each_done_whole_or_not_at_all(
    alert_url: str,
) -> None:
    connection = await asyncpg.connect(alert_url)
    async with running_alert(alert_url) as alert:
        callers = Callers(alert)
        await asyncio.gather(*(callers.call_until_enough_gave_up() for _ in range(CALLERS)))

        await eventually(lambda: has_no_open_transaction(connection))
        assert 0 == await connection.fetchval(TORN_ALERTS)
        assert 0 == await connection.fetchval(
            "SELECT count(*) FROM hosts WHERE labels->>'name' <> name"
        )
        await assert_everything_answered_is_there(connection, callers)
        await assert_a_repetition_makes_every_call_count_once(alert, connection, callers)
        await asyncio.gather(*(alert.alerts.ListAlerts(pb.ListAlertsRequest()) for _ in range(20)))
    await connection.close()


async def has_no_open_transaction(connection: asyncpg.Connection) -> bool:
    return bool(await connection.fetchval(OPEN_TRANSACTIONS) == 0)


async def assert_everything_answered_is_there(
    connection: asyncpg.Connection, callers: Callers
) -> None:
    assert callers.answered, "no raise was answered: the moments are all too early"
    known = {str(row[0]) for row in await connection.fetch("SELECT alert_id FROM alerts")}
    remembered = {row[0] for row in await connection.fetch("SELECT request_id FROM requests")}
    assert set(callers.answered.values()) <= known
    assert set(callers.answered) <= remembered


async def assert_a_repetition_makes_every_call_count_once(
    alert: RunningAlert, connection: asyncpg.Connection, callers: Callers
) -> None:
    """What was done before is answered from memory, and what was not is done now."""
    for start in range(0, len(callers.raises), 500):
        batch = pb.BatchRaiseOrTouchRequest(requests=callers.raises[start : start + 500])
        answer = await alert.alerts.BatchRaiseOrTouch(batch)
        assert all(result.HasField("response") for result in answer.results)
    wanted = Counter(request.dedup_key for request in callers.raises)
    rows = await connection.fetch("SELECT dedup_key, occurrences FROM alerts")
    assert dict(wanted) == {row["dedup_key"]: row["occurrences"] for row in rows}
    assert 0 == await connection.fetchval(TORN_ALERTS)
    revisions = await connection.fetchrow(
        "SELECT min(revision), max(revision), count(*) FROM events"
    )
    assert (1, revisions["count"], revisions["count"]) == tuple(revisions)
