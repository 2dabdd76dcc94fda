"""The round trips of the ledger, and the functions of the database that they call."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from support.clock import START
from support.ledgers import alerts_of, clearing, raising, request, running_ledger
from support.observed import KEY, failure, success
from support.waiting import eventually
from tocsin.alert.domain.alert import Severity
from tocsin.alert.domain.key import Key
from tocsin.alert.ledger.commands import Lapse
from tocsin.alert.store.changes import Changes, KeyChange, call_to_write
from tocsin.alert.store.expected import Expected, call_to_hold, write_if
from tocsin.alert.store.keys import StoredKey, lock_keys, read_keys
from tocsin.alert.store.requests import REMEMBERED_FOR, StoredAnswer
from tocsin.common.ids import uuid7
from tocsin.common.postgres.engine import Database
from tocsin.common.postgres.failures import is_worth_repeating

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

    from tocsin.alert.domain.alert import Alert
    from tocsin.alert.ledger.commands import Command

pytestmark = pytest.mark.postgres

OTHER = Key("host-b", "backup_failed", "")
NOBODY = Key("nobody", "backup_failed", "")
IF_UNCHANGED = "SELECT CASE WHEN hold_unchanged_2"
READ = ["alert_keys", "alerts", "hosts", "requests"]
MANY = """
INSERT INTO alert_keys (host_id, kind, dedup_key)
SELECT 'many-' || n, 'backup_failed', clock_timestamp()::text FROM generate_series(1, 5000) n
"""


async def write(connection: asyncpg.Connection, changes: Changes) -> None:
    call = call_to_write(changes, START)
    assert call is not None
    await connection.execute(f"SELECT {call.sql}", *call.arguments)


@pytest.fixture
async def standing(alert_database: Database) -> Alert:
    """An alert that stands for KEY."""
    async with running_ledger(alert_database) as ledger:
        answer = await ledger.submit(raising(failure(0, cause="io", labels={"team": "storage"})))
    assert answer.alert is not None
    return answer.alert


@pytest.fixture
async def alone(alert_url: str) -> AsyncIterator[tuple[Database, list[str]]]:
    """A database through one connection, and every statement that goes over it."""
    database = Database(alert_url, application_name="tests", pool_size=1)
    statements: list[str] = []
    async with database.connection() as connection:
        connection.add_query_logger(lambda record: statements.append(record.query.split("(")[0]))
    yield database, statements
    await database.close()


@pytest.mark.parametrize("count", [1, 300])
async def test_the_round_trips_of_a_call_do_not_depend_on_how_many_keys_it_has(
    alone: tuple[Database, list[str]], count: int
) -> None:
    database, statements = alone
    keys = [Key(f"host-{number}", "backup_failed", "") for number in range(count)]

    def named(command: str, number: int) -> str:
        return f"{command}-{number}"

    steps: dict[str, list[Command]] = {
        "new keys": [clearing(success(0, key=key)) for key in keys],
        "nothing to clear": [clearing(success(0.5, key=key)) for key in keys],
        "nothing to write": [clearing(success(0, key=key)) for key in keys],
        "raise": [raising(failure(1, key=key)) for key in keys],
        "touch": [raising(failure(2, key=key)) for key in keys],
        "request": [
            raising(failure(3, key=key), request(named("touch", number)))
            for number, key in enumerate(keys)
        ],
        "rise": [raising(failure(4, key=key, severity=Severity.CRITICAL)) for key in keys],
        "clear": [clearing(success(5, key=key)) for key in keys],
        "all": [
            command
            for number, key in enumerate(keys)
            for command in (
                raising(failure(6, key=key), request(named("raise", number))),
                clearing(success(7, key=key), request(named("clear", number))),
                raising(failure(8, key=key)),
                raising(failure(9, key=key)),
            )
        ],
        "retried": [
            raising(failure(3, key=key), request(named("touch", number)))
            for number, key in enumerate(keys)
        ],
        "with another": [Lapse(uuid7()), *(raising(failure(10, key=key)) for key in keys)],
    }
    taken: dict[str, list[str]] = {}
    async with running_ledger(database, max_batch=2_000) as ledger:
        await ledger.submit(raising(failure(0), request("warm")))  # the driver learns the types
        await ledger.submit(clearing(success(1)))
        for name, commands in steps.items():
            statements.clear()
            await ledger.submit_many(commands)
            taken[name] = list(statements)

    begun = "BEGIN ISOLATION LEVEL READ COMMITTED"
    locked = "SELECT * FROM lock_and_read_1"
    assert {
        **{name: [IF_UNCHANGED] for name in steps},
        "new keys": ["SELECT * FROM read_keys_1", "SELECT hold_unchanged_2"],
        "nothing to write": ["SELECT hold_unchanged_2"],
        "retried": [IF_UNCHANGED, begun, locked, "COMMIT"],
        "with another": [
            begun,
            "SELECT alert_id, host_id, kind, dedup_key FROM alerts WHERE alert_id = ANY",
            locked,
            "SELECT touch_2",
            "COMMIT",
        ],
    } == taken


async def test_a_lane_at_rest_lends_its_connection(alert_url: str) -> None:
    database = Database(alert_url, application_name="tests", pool_size=1)
    async with running_ledger(database) as ledger:
        for minute in range(2):
            await ledger.submit(raising(failure(minute)))
            await eventually(lambda: database.in_use == 0)
    (alert,) = await alerts_of(database)
    await database.close()

    assert 2 == alert.occurrences


async def test_what_is_read_after_a_lock_is_what_its_holder_has_left(
    alert_database: Database, standing: Alert
) -> None:
    touched = standing._replace(occurrences=7, message="the holder's", version=7)
    keys = {KEY: KeyChange(START, standing.alert_id)}
    answers = {"r-1": StoredAnswer(b"asked", "{}")}
    async with alert_database.connection() as connection, alert_database.connection() as other:
        begun = connection.transaction()
        await begun.start()
        before = await lock_keys(connection, [KEY])
        async with other.transaction():
            waiting = asyncio.create_task(lock_keys(other, [KEY, OTHER], ["r-1"], START))
            await eventually(lambda: _is_waiting(alert_database))
            await write(connection, Changes([], [], [touched], keys, answers))
            await begun.commit()
            after = await waiting

    assert standing == before.keys[KEY].alert
    assert (START, touched) == after.keys[KEY]
    assert (None, None) == after.keys[OTHER]
    assert answers == after.answers


async def test_a_key_that_another_transaction_creates_is_waited_for_and_read(
    alert_database: Database,
) -> None:
    async with alert_database.connection() as connection, alert_database.connection() as other:
        begun = connection.transaction()
        await begun.start()
        await lock_keys(connection, [OTHER])
        async with other.transaction():
            waiting = asyncio.create_task(lock_keys(other, [KEY, OTHER]))
            await eventually(lambda: _is_waiting(alert_database))
            await write(connection, Changes([], [], [], {OTHER: KeyChange(START, None)}, {}))
            await begun.commit()
            after = await waiting

    assert {KEY: (None, None), OTHER: (START, None)} == after.keys


async def test_an_answer_that_another_transaction_has_remembered_fails_the_write(
    alert_database: Database,
) -> None:
    mine = Changes([], [], [], {}, {"r-1": StoredAnswer(b"mine", "{}")})
    async with alert_database.transaction() as connection:
        await write(connection, mine)
    with pytest.raises(Exception, match="remembers") as told:
        async with alert_database.transaction() as connection:
            await write(connection, mine)

    assert is_worth_repeating(told.value)


async def test_an_answer_that_is_too_old_gives_way(alert_database: Database) -> None:
    old, new = StoredAnswer(b"old", "{}"), StoredAnswer(b"new", "[]")
    later = START + REMEMBERED_FOR + timedelta(seconds=1)
    async with alert_database.transaction() as connection:
        await write(connection, Changes([], [], [], {}, {"r-1": old}))
        forgotten = await lock_keys(connection, [], ["r-1"], later - REMEMBERED_FOR)
        call = call_to_write(Changes([], [], [], {}, {"r-1": new}), later)
        assert call is not None
        await connection.execute(f"SELECT {call.sql}", *call.arguments)
        read = await lock_keys(connection, [], ["r-1"], later - REMEMBERED_FOR)

    assert {} == forgotten.answers
    assert {"r-1": new} == read.answers


async def test_no_function_reads_a_table_whole_however_small_it_was_when_it_was_planned(
    alert_database: Database, standing: Alert
) -> None:
    """Plans are kept, so they are made here while the tables are all but empty."""
    worse = standing._replace(cause="network")
    keys = {KEY: KeyChange(None, standing.alert_id)}
    async with alert_database.connection() as connection:
        for turn in range(2):
            async with connection.transaction():
                answers = {f"r-{turn}": StoredAnswer(b"", "{}")}
                await lock_keys(connection, sorted((NOBODY, KEY)), list(answers), START)
                await write(connection, Changes([], [worse], [standing], keys, answers))
                read = await read_keys(connection, [NOBODY, KEY])
                assert await raise_if_unchanged(connection, standing, Key("new", "n", str(turn)))
                scans = await connection.fetch(
                    "SELECT seq_scan, idx_tup_fetch FROM pg_stat_xact_user_tables"
                    " WHERE relname = ANY($1)",
                    READ,
                )
                await connection.execute(MANY)

            assert KEY in read.keys
            assert len(READ) == len(scans)
            assert {0} == {row["seq_scan"] for row in scans}
            assert all(row["idx_tup_fetch"] < 20 for row in scans)
    alert, *raised = await alerts_of(alert_database)
    assert "network" == alert.cause
    assert 2 == len(raised)


async def raise_if_unchanged(connection: asyncpg.Connection, standing: Alert, key: Key) -> bool:
    """Raise an alert for a new key, beside one that stands."""
    raised = standing._replace(alert_id=uuid7(), key=key)
    new = {key: KeyChange(None, raised.alert_id)}
    expected = Expected({KEY: StoredKey(None, standing)}, {}, new, ["r-9"], START)
    call = call_to_write(Changes([raised], [], [], {}, {}), START)
    return await write_if(connection, call_to_hold(expected), call)


async def _is_waiting(database: Database) -> bool:
    async with database.connection() as connection:
        found: bool = await connection.fetchval(
            "SELECT count(*) > 0 FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return found
