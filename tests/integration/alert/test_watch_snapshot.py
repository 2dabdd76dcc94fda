"""A snapshot and what follows it are, together, the state of the alerts: exactly."""

from __future__ import annotations

import asyncio
import random
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import grpc
import pytest

from support.eventlog import OTHER_EPOCH
from support.waiting import eventually
from support.watching import NEVER, Told, watching
from tocsin.alert.domain.alert import Severity
from tocsin.alert.domain.key import Key
from tocsin.alert.domain.observation import Caller, Failure, Success
from tocsin.alert.eventlog import identity, log
from tocsin.alert.ledger.commands import Acknowledge, AutoResolve, RaiseOrTouch, Resolve
from tocsin.alert.ledger.ledger import Ledger
from tocsin.alert.rpc.subscriber import WatchLimits
from tocsin.alert.rpc.wire import encode_event
from tocsin.api.alert.v1 import alert_pb2, event_pb2
from tocsin.common.clock import SystemClock
from tocsin.common.ids import uuid7

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from uuid import UUID

    import asyncpg

    from support.watching import Stream
    from tocsin.alert.domain.event import Position
    from tocsin.common.postgres.engine import Database

pytestmark = pytest.mark.postgres

SEED = 5
NOBODY = Caller("tests")
State = dict[str, tuple[int, int, str, str]]


@asynccontextmanager
async def running_ledger(database: Database) -> AsyncIterator[Ledger]:
    ledger = Ledger(
        database,
        encode_event=encode_event,
        on_commit=lambda _appended: None,
        clock=SystemClock(),
    )
    await ledger.start()
    try:
        yield ledger
    finally:
        await ledger.stop()


async def raise_alert(
    ledger: Ledger, host: str, *, severity: Severity = Severity.WARNING, kind: str = "backup_failed"
) -> UUID:
    alert_id = await raise_unless_cleared(ledger, host, severity, kind)
    assert alert_id is not None
    return alert_id


async def raise_unless_cleared(
    ledger: Ledger, host: str, severity: Severity, kind: str = "backup_failed"
) -> UUID | None:
    """Raise, unless somebody else tells meanwhile of a success that was later than the failure."""
    failure = Failure(Key(host, kind, "data"), SystemClock().now(), severity, "it failed")
    answer = await ledger.submit(RaiseOrTouch(failure, NOBODY))
    return None if answer.alert is None else answer.alert.alert_id


async def clear(ledger: Ledger, host: str) -> None:
    success = Success(Key(host, "backup_failed", "data"), SystemClock().now())
    await ledger.submit(AutoResolve(success, NOBODY))


def hosts_in(stream: Stream) -> list[str]:
    return [alert.host_id for m in stream.messages for alert in m.snapshot_alerts]


async def test_the_snapshot_has_every_alert_that_is_not_resolved_then_the_events_follow(
    alert_database: Database,
) -> None:
    async with watching(alert_database) as server, running_ledger(alert_database) as ledger:
        await raise_alert(ledger, "open")
        acknowledged = await raise_alert(ledger, "acknowledged")
        until = SystemClock().now() + timedelta(hours=1)
        await ledger.submit(Acknowledge(acknowledged, "mine", until, NOBODY))
        await raise_alert(ledger, "healed")
        await clear(ledger, "healed")
        await ledger.submit(Resolve(await raise_alert(ledger, "resolved"), "", NOBODY))

        stream = server.stream(snapshot=True)
        last = await stream.until(lambda message: message.snapshot_complete)
        assert ["open", "acknowledged"] == hosts_in(stream)
        assert await server.position() == (last.position.epoch, last.position.revision)
        assert "mine" == last.snapshot_alerts[1].acknowledge_note

        await raise_alert(ledger, "later")
        assert [8] == await stream.until_revision(8)


async def test_an_empty_snapshot_is_one_message_that_says_it_is_complete(
    alert_database: Database,
) -> None:
    async with watching(alert_database) as server:
        first = await server.stream(snapshot=True).read()
        assert (True, 0) == (first.snapshot_complete, len(first.snapshot_alerts))
        assert await server.position() == (first.position.epoch, first.position.revision)


async def test_a_snapshot_of_many_alerts_comes_in_pages_of_one_position(
    alert_database: Database,
) -> None:
    limits = WatchLimits(entries=10, bookmark_every=NEVER)
    async with (
        watching(alert_database, limits=limits) as server,
        running_ledger(alert_database) as ledger,
    ):
        hosts = [f"host-{number:02}" for number in range(30)]
        for host in hosts:
            await raise_alert(ledger, host)
        stream = server.stream(snapshot=True)
        await stream.until(lambda message: message.snapshot_complete)
        assert hosts == hosts_in(stream)
        assert [(10, False), (10, False), (10, True)] == [
            (len(message.snapshot_alerts), message.snapshot_complete) for message in stream.messages
        ]
        assert {30} == {message.position.revision for message in stream.messages}


async def test_filters_narrow_the_snapshot_but_types_do_not(alert_database: Database) -> None:
    async with watching(alert_database) as server, running_ledger(alert_database) as ledger:
        await raise_alert(ledger, "a", severity=Severity.CRITICAL)
        await raise_alert(ledger, "b", severity=Severity.CRITICAL)
        await raise_alert(ledger, "a", kind="check_failed", severity=Severity.CRITICAL)
        await raise_alert(ledger, "c")
        for wanted, expected in (
            ({}, ["a", "b", "a", "c"]),
            ({"host_ids": ["a", "c"]}, ["a", "a", "c"]),
            ({"kinds": ["backup_failed"]}, ["a", "b", "c"]),
            ({"min_severity": alert_pb2.SEVERITY_CRITICAL}, ["a", "b", "a"]),
            ({"host_ids": ["a"], "kinds": ["check_failed"]}, ["a"]),
            ({"types": [event_pb2.ALERT_EVENT_TYPE_RESOLVED]}, ["a", "b", "a", "c"]),
        ):
            stream = server.stream(snapshot=True, **wanted)
            await stream.until(lambda message: message.snapshot_complete)
            assert expected == hosts_in(stream)


async def test_what_changes_while_the_snapshot_is_read_is_not_in_it_and_follows_it(
    alert_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with watching(alert_database) as server, running_ledger(alert_database) as ledger:
        await raise_alert(ledger, "before")
        read_head = log.head

        async def read_head_and_be_overtaken(connection: asyncpg.Connection) -> Position:
            position = await read_head(connection)
            await raise_alert(ledger, "meanwhile")
            return position

        monkeypatch.setattr(log, "head", read_head_and_be_overtaken)
        stream = server.stream(snapshot=True)
        last = await stream.until(lambda message: message.snapshot_complete)
        assert (1, ["before"]) == (last.position.revision, hosts_in(stream))
        assert [2] == await stream.until_revision(2)


async def test_a_snapshot_and_a_position_together_are_refused(alert_database: Database) -> None:
    async with watching(alert_database) as server:
        refused = Told(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", {})
        for after in (("", 0), (str(OTHER_EPOCH), 1)):
            assert refused == await server.stream(after, snapshot=True).error()


async def test_a_subscriber_that_reads_its_snapshot_slowly_holds_nothing_of_the_database(
    alert_database: Database,
) -> None:
    limits = WatchLimits(entries=1, bookmark_every=NEVER)
    async with (
        watching(alert_database, limits=limits) as server,
        running_ledger(alert_database) as ledger,
    ):
        for number in range(5):
            await raise_alert(ledger, f"host-{number}")
        stream = server.stream(snapshot=True)
        await stream.read()
        await eventually(lambda: _no_old_snapshot(alert_database))
        await stream.until(lambda message: message.snapshot_complete)


async def _no_old_snapshot(database: Database) -> bool:
    async with database.connection() as connection:
        held = await connection.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND backend_xmin IS NOT NULL AND pid <> pg_backend_pid()"
        )
    return bool(held == 0)


async def test_a_snapshot_ends_when_the_epoch_changes(alert_database: Database) -> None:
    async with watching(alert_database) as server:
        stream = server.stream(snapshot=True)
        await stream.read()
        epoch = await identity.renew(alert_database, uuid7)
        changed = Told(grpc.StatusCode.FAILED_PRECONDITION, "EPOCH_CHANGED", {"epoch": str(epoch)})
        assert changed == await stream.error()


async def test_snapshot_and_stream_are_the_current_state_while_many_write(
    alert_database: Database,
) -> None:
    """Readers begin at random moments of the history; each must end at the same state."""
    limits = WatchLimits(entries=7, bookmark_every=timedelta(milliseconds=20))
    async with (
        watching(alert_database, limits=limits, max_entries=30) as server,
        running_ledger(alert_database) as one,
        running_ledger(alert_database) as two,
    ):
        writing = asyncio.gather(
            *(_write_at_random(ledger, n) for n, ledger in enumerate((one, two) * 3))
        )
        streams = []
        while not writing.done():
            stream = server.stream(snapshot=True)
            await stream.read()
            streams.append(stream)
        await writing
        _, head = await server.position()
        expected = await _state_of_table(alert_database)
        assert len(streams) > 2
        for stream in streams:
            await stream.until_revision(head)
            assert expected == _state_of_stream(stream)


async def _write_at_random(ledger: Ledger, number: int) -> None:
    chance = random.Random(SEED + number)
    known: list[UUID] = []
    for _ in range(40):
        host = f"host-{chance.randrange(12)}"
        match chance.randrange(5):
            case 0:
                await clear(ledger, host)
            case 1 if known:
                await ledger.submit(Resolve(chance.choice(known), "", NOBODY))
            case _:
                severity = chance.choice([Severity.WARNING, Severity.CRITICAL])
                raised = await raise_unless_cleared(ledger, host, severity)
                known += [] if raised is None else [raised]


def _told(alert: alert_pb2.Alert) -> tuple[int, int, str, str]:
    return alert.status, alert.severity, alert.host_id, alert.cause


def _state_of_stream(stream: Stream) -> State:
    """Fold all that came, as a client does."""
    state: State = {}
    for message in stream.messages:
        for alert in (*message.snapshot_alerts, *(event.alert for event in message.events)):
            state[alert.alert_id] = _told(alert)
    return {
        alert_id: told
        for alert_id, told in state.items()
        if told[0] != alert_pb2.ALERT_STATUS_RESOLVED
    }


async def _state_of_table(database: Database) -> State:
    async with database.connection() as connection:
        rows = await connection.fetch(
            "SELECT alert_id, status, severity, host_id, cause FROM alerts"
            " WHERE resolve_time IS NULL"
        )
    return {str(row[0]): tuple(row[1:]) for row in rows}
