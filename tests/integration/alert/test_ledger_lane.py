"""The lane itself: batches, what fails alone, callers that leave, and an orderly end."""

from __future__ import annotations

import asyncio
import pickle
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from support.ledgers import (
    alerts_of,
    clearing,
    count_rows,
    events_of,
    new_ledger,
    raising,
    request,
    running_ledger,
)
from support.locks import held, waits_for_a_lock
from support.observed import ANN, KEY, at, failure, success
from support.postgres import SETTINGS, migrations_of, running_cluster
from support.waiting import eventually
from tocsin.alert.domain.alert import Severity
from tocsin.alert.domain.key import Key
from tocsin.alert.domain.outcome import ClearOutcome, RaiseOutcome
from tocsin.alert.ledger.commands import (
    Acknowledge,
    ChangeAnswer,
    ClearAnswer,
    Lapse,
    RaiseAnswer,
    Resolve,
)
from tocsin.common.errors import (
    InvalidArgumentError,
    ResourceExhaustedError,
    TocsinError,
    UnavailableError,
)
from tocsin.common.postgres.engine import Database
from tocsin.common.postgres.migrator import migrate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tocsin.alert.domain.event import Event
    from tocsin.alert.eventlog.log import Appended
    from tocsin.alert.ledger.commands import Command
    from tocsin.common.postgres.embedded import Binaries, Cluster

pytestmark = pytest.mark.postgres


def key(number: int) -> Key:
    return Key(f"host-{number}", "backup_failed", "")


def raises(count: int, **changes: Any) -> list[Command]:
    return [raising(failure(0, key=key(number), **changes)) for number in range(count)]


def outcomes(results: list[Any]) -> list[Any]:
    """Return what each result comes to: an outcome, or the reason of an error."""
    return [
        result.reason if isinstance(result, TocsinError) else result.outcome for result in results
    ]


async def refuse_by_trigger(database: Database, table: str, sqlstate: str, when: str) -> None:
    """Let the server fail every row of a table for which the condition holds."""
    async with database.connection() as connection:
        await connection.execute(
            f"CREATE SEQUENCE tries;"
            f"CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            f" IF {when} THEN RAISE EXCEPTION 'refused' USING ERRCODE = '{sqlstate}'; END IF;"
            f" RETURN new; END $$;"
            f"CREATE TRIGGER refuse BEFORE INSERT ON {table}"
            f" FOR EACH ROW EXECUTE FUNCTION refuse()"
        )


@pytest.fixture
def durable_cluster(postgres_binaries: Binaries) -> Iterator[Cluster]:
    """A server of this test's own that keeps what it has committed when it is killed."""
    with running_cluster(postgres_binaries, {**SETTINGS, "synchronous_commit": "on"}) as cluster:
        yield cluster


@pytest.fixture
def logs() -> Iterator[list[Any]]:
    with capture_logs() as captured:
        yield captured


async def test_commands_of_one_batch_see_each_other_and_leave_one_row(
    alert_database: Database,
) -> None:
    ledger = new_ledger(alert_database)
    commands: list[Command] = [
        raising(failure(0)),
        raising(failure(1, message="second")),
        clearing(success(0.5)),
        raising(failure(2, severity=Severity.CRITICAL)),
        clearing(success(3)),
        raising(failure(2.5)),
        raising(failure(4)),
        raising(failure(5)),
    ]
    submission = asyncio.ensure_future(ledger.submit_many(commands))
    await ledger.start()

    results = await submission
    await ledger.stop()

    assert [
        RaiseOutcome.RAISED,
        RaiseOutcome.TOUCHED,
        ClearOutcome.STALE,
        RaiseOutcome.TOUCHED,
        ClearOutcome.RESOLVED,
        RaiseOutcome.STALE,
        RaiseOutcome.RAISED,
        RaiseOutcome.TOUCHED,
    ] == outcomes(results)
    first, second = await alerts_of(alert_database)
    assert (3, 2) == (first.occurrences, second.occurrences)
    assert first.alert_id == second.previous_alert_id
    assert [1, 3, 4, 1] == [event.alert.version for event in await events_of(alert_database)]


async def test_a_person_and_a_clear_in_one_batch_see_each_other(alert_database: Database) -> None:
    commits: list[Appended] = []
    async with running_ledger(alert_database, on_commit=commits.append) as ledger:
        alert = (await ledger.submit(raising(failure(0)))).alert
        assert alert is not None
        results = await ledger.submit_many(
            [
                clearing(success(1)),
                raising(failure(2)),
                Acknowledge(alert.alert_id, "", at(60), ANN),
                Resolve(alert.alert_id, "", ANN),
            ]
        )

    cleared, raised, refused, unchanged = results
    assert isinstance(raised, RaiseAnswer)
    assert RaiseOutcome.RAISED == raised.outcome
    assert isinstance(refused, TocsinError)
    assert "ALERT_RESOLVED" == refused.reason
    assert isinstance(unchanged, ChangeAnswer)
    assert isinstance(cleared, ClearAnswer)
    assert cleared.alert == unchanged.alert
    assert 2 == len(commits)  # the batch was not taken apart


async def test_a_request_id_twice_in_one_batch_is_replayed_or_refused(
    alert_database: Database,
) -> None:
    async with running_ledger(alert_database) as ledger:
        first, replayed, reused = await ledger.submit_many(
            [
                raising(failure(0), request("r-1", "one")),
                raising(failure(0), request("r-1", "one")),
                raising(failure(0), request("r-1", "other")),
            ]
        )

    assert isinstance(first, RaiseAnswer)
    assert first._replace(replayed=True) == replayed
    assert isinstance(reused, InvalidArgumentError)
    assert "REQUEST_ID_REUSED" == reused.reason


async def test_a_request_id_that_another_process_uses_at_the_same_moment_is_seen(
    alert_database: Database,
) -> None:
    async with running_ledger(alert_database) as ledger:
        async with alert_database.transaction() as rival:
            await rival.execute(
                "INSERT INTO requests VALUES ('r-1', 'other', '{\"command\": \"Resolve\"}', now())"
            )
            submission = asyncio.ensure_future(
                ledger.submit_many(
                    [raising(failure(0), request("r-1")), raising(failure(0, key=key(1)))]
                )
            )
            await waits_for_a_lock(alert_database)
            await rival.execute(
                "UPDATE requests SET answer ="
                ' \'{"command": "RaiseOrTouch", "result": 3, "alert": null}\''
            )
        reused, raised = await submission

    assert ["REQUEST_ID_REUSED", RaiseOutcome.RAISED] == outcomes([reused, raised])
    assert [key(1)] == [alert.key for alert in await alerts_of(alert_database)]


async def test_the_number_of_statements_does_not_depend_on_the_size_of_the_batch(
    alert_url: str,
) -> None:
    database = Database(alert_url, application_name="tests", pool_size=1)
    statements: list[str] = []
    async with database.connection() as connection:
        connection.add_query_logger(lambda record: statements.append(record.query))

    async def statements_of(numbers: range) -> int:
        commands: list[Command] = []
        for number in numbers:
            commands += [
                raising(failure(0, key=key(number)), request(f"{numbers}-{number}")),
                raising(failure(1, severity=Severity.CRITICAL, key=key(number))),
                clearing(success(2, key=key(number))),
                raising(failure(3, key=key(number))),
                Resolve(known, "", ANN),
            ]
        statements.clear()
        await ledger.submit_many(commands)
        return len(statements)

    async with running_ledger(database, max_batch=2_000) as ledger:
        answer = await ledger.submit(raising(failure(0)))
        assert answer.alert is not None
        known = answer.alert.alert_id
        await statements_of(range(1))
        one, many = await statements_of(range(1, 2)), await statements_of(range(2, 200))

    await database.close()
    assert 0 < one == many <= 5


async def test_a_touch_is_a_heap_only_update(alert_url: str, alert_database: Database) -> None:
    database = Database(alert_url, application_name="tests", pool_size=1)
    async with running_ledger(database) as ledger:
        for minute in range(20):
            await ledger.submit(raising(failure(minute, message=f"message {minute}")))
        await ledger.submit_many([raising(failure(30)) for _ in range(100)])
    await database.close()  # a session that ends reports what it did

    async def updates() -> Any:
        async with alert_database.connection() as connection:
            return await connection.fetchrow(
                "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables"
                " WHERE relname = 'alerts' AND n_tup_upd > 0"
            )

    # 19 touches, and one for the hundred of a batch.
    assert (20, 20) == tuple(await eventually(updates))


async def test_a_poisoned_command_fails_alone(alert_database: Database, logs: list[Any]) -> None:
    commands = raises(20)
    poisoned = {3: "a NUL \0 in the text", 4: "half a character \ud800", 17: "\0"}
    for place, message in poisoned.items():
        commands[place] = raising(failure(0, key=key(place), message=message))

    async with running_ledger(alert_database) as ledger:
        results = await ledger.submit_many(commands)

    assert [
        "INTERNAL" if place in poisoned else RaiseOutcome.RAISED for place in range(20)
    ] == outcomes(results)
    assert 17 == len(await alerts_of(alert_database)) == len(await events_of(alert_database))
    assert len(poisoned) == len([entry for entry in logs if entry["log_level"] == "error"])


async def test_a_bug_in_one_command_tells_its_caller_an_id_and_nothing_else(
    alert_database: Database, logs: list[Any]
) -> None:
    def encode(event: Event) -> bytes:
        if event.alert.key == key(1):
            raise RuntimeError("a secret of the inside")
        return pickle.dumps(event)

    async with running_ledger(alert_database, encode_event=encode) as ledger:
        results = await ledger.submit_many(raises(3))
        with pytest.raises(TocsinError) as told:
            await ledger.submit(raising(failure(0, key=key(1))))

    assert [RaiseOutcome.RAISED, "INTERNAL", RaiseOutcome.RAISED] == outcomes(results)
    assert "secret" not in told.value.message
    assert told.value.metadata["error_id"] in {entry.get("error_id") for entry in logs}


async def test_a_full_disk_fails_the_batch_at_once(alert_database: Database) -> None:
    await refuse_by_trigger(alert_database, "alerts", "53100", "nextval('tries') > 0")

    async with running_ledger(alert_database) as ledger:
        results = await ledger.submit_many(raises(100))
        cleared = await ledger.submit(clearing(success(0)))

    assert ["STORAGE_FULL"] * 100 == outcomes(results)
    assert ClearOutcome.NOTHING_OPEN == cleared.outcome
    async with alert_database.connection() as connection:
        assert 1 == await connection.fetchval("SELECT last_value FROM tries")


@pytest.mark.parametrize("sqlstate", ["40001", "40P01"])
async def test_a_batch_that_may_succeed_the_next_time_is_repeated(
    alert_database: Database, sqlstate: str
) -> None:
    await refuse_by_trigger(alert_database, "alerts", sqlstate, "nextval('tries') <= 3")

    async with running_ledger(alert_database) as ledger:
        results = await ledger.submit_many(raises(5))

    assert [RaiseOutcome.RAISED] * 5 == outcomes(results)
    assert 5 == len(await alerts_of(alert_database))


async def test_a_batch_is_not_repeated_for_ever(alert_database: Database) -> None:
    await refuse_by_trigger(alert_database, "alerts", "40001", "nextval('tries') > 0")

    async with running_ledger(alert_database) as ledger:
        results = await ledger.submit_many(raises(5))

    assert ["DATABASE_UNAVAILABLE"] * 5 == outcomes(results)
    assert 0 == await count_rows(alert_database, "alerts")


async def test_a_cancelled_call_leaves_its_command_to_complete_or_never_to_start(
    alert_database: Database,
) -> None:
    async with running_ledger(alert_database) as ledger:
        async with held(alert_database, KEY):
            begun = asyncio.ensure_future(ledger.submit(raising(failure(0))))
            await waits_for_a_lock(alert_database)
            waiting = asyncio.ensure_future(ledger.submit(raising(failure(0, key=key(1)))))
            patient = asyncio.ensure_future(ledger.submit(raising(failure(0, key=key(2)))))
            await asyncio.wait({waiting}, timeout=0)
            begun.cancel()
            waiting.cancel()
            await asyncio.wait({begun, waiting})
        await patient

    assert begun.cancelled()
    assert waiting.cancelled()
    assert {KEY, key(2)} == {alert.key for alert in await alerts_of(alert_database)}
    assert 2 == len(await events_of(alert_database))


async def test_a_caller_is_answered_in_time_and_the_lane_goes_on(alert_database: Database) -> None:
    async with running_ledger(alert_database, answer_within=timedelta(milliseconds=200)) as ledger:
        async with held(alert_database, KEY):
            begun = asyncio.ensure_future(ledger.submit(raising(failure(0))))
            await waits_for_a_lock(alert_database)
            waiting = ledger.submit_many([raising(failure(0, key=key(1)))])
            with pytest.raises(UnavailableError) as told:
                await begun
            (late,) = await waiting

        async def goes_on() -> bool:
            (result,) = await ledger.submit_many([raising(failure(0, key=key(2)))])
            return isinstance(result, RaiseAnswer)

        await eventually(goes_on)

    assert "DATABASE_UNAVAILABLE" == told.value.reason
    assert ["DATABASE_UNAVAILABLE"] == outcomes([late])
    assert {KEY, key(2)} == {alert.key for alert in await alerts_of(alert_database)}


async def test_more_than_the_queue_holds_is_refused_at_once(alert_database: Database) -> None:
    ledger = new_ledger(alert_database, max_queue=2)
    submission = asyncio.ensure_future(ledger.submit_many(raises(3)))
    await asyncio.wait({submission}, timeout=0)

    with pytest.raises(ResourceExhaustedError) as refusal:
        await ledger.submit(raising(failure(0)))
    await ledger.start()
    results = await submission
    await ledger.stop()

    assert "OVERLOADED" == refusal.value.reason
    assert refusal.value.retry_after is not None
    assert [RaiseOutcome.RAISED, RaiseOutcome.RAISED, "OVERLOADED"] == outcomes(results)


async def test_no_commands_have_no_results(alert_database: Database) -> None:
    async with running_ledger(alert_database) as ledger:
        assert [] == await ledger.submit_many([])


async def test_a_stop_finishes_what_waits_and_refuses_what_comes(alert_database: Database) -> None:
    ledger = new_ledger(alert_database, max_batch=3)
    await ledger.start()
    async with held(alert_database, key(0)):
        waiting = asyncio.ensure_future(ledger.submit_many(raises(10)))
        await waits_for_a_lock(alert_database)
        stopping = asyncio.ensure_future(ledger.stop())
        await asyncio.wait({stopping}, timeout=0)
        with pytest.raises(UnavailableError) as refusal:
            await ledger.submit(raising(failure(0)))

    results = await waiting
    await stopping
    await ledger.stop()

    assert "DRAINING" == refusal.value.reason
    assert [RaiseOutcome.RAISED] * 10 == outcomes(results)


async def test_a_stop_that_is_cut_short_leaves_nothing_half_and_no_caller_waiting(
    alert_database: Database,
) -> None:
    ledger = new_ledger(alert_database, max_batch=3)
    await ledger.start()
    async with held(alert_database, key(2)):
        waiting = asyncio.ensure_future(ledger.submit_many(raises(10)))
        await waits_for_a_lock(alert_database)
        stopping = asyncio.ensure_future(ledger.stop())
        await asyncio.wait({stopping}, timeout=0)
        stopping.cancel()
        results = await waiting
        await asyncio.wait({stopping})

    assert ["DATABASE_UNAVAILABLE"] * 10 == outcomes(results)
    assert 0 == await count_rows(alert_database, "alerts")
    assert 1 == await count_rows(alert_database, "alert_keys")


async def test_a_ledger_that_was_stopped_starts_again(alert_database: Database) -> None:
    ledger = new_ledger(alert_database)
    for outcome in (RaiseOutcome.RAISED, RaiseOutcome.TOUCHED):
        await ledger.start()
        await ledger.start()
        assert outcome == (await ledger.submit(raising(failure(0)))).outcome
        await ledger.stop()


async def test_readers_are_woken_after_commits_that_have_events_and_only_then(
    alert_database: Database,
) -> None:
    woken: list[Appended] = []
    async with running_ledger(alert_database, on_commit=woken.append) as ledger:
        await ledger.submit(clearing(success(-1)))
        await ledger.submit(raising(failure(0)))
        await ledger.submit(raising(failure(1)))
        await ledger.submit(raising(failure(-2)))
        await ledger.submit(clearing(success(2)))

    assert [range(1, 2), range(2, 3)] == [appended.revisions for appended in woken]


@pytest.mark.parametrize("others", [[], [Lapse(UUID(int=1))]], ids=["reports alone", "and others"])
async def test_readers_are_told_nothing_that_is_not_committed(
    alert_database: Database, others: list[Command]
) -> None:
    """All is written, and then the commit itself fails."""
    async with alert_database.connection() as connection:
        await connection.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'refused'; END $$;"
            "CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON events DEFERRABLE INITIALLY DEFERRED"
            " FOR EACH ROW EXECUTE FUNCTION refuse()"
        )
    told: list[Appended] = []
    async with running_ledger(alert_database, on_commit=told.append) as ledger:
        results = await ledger.submit_many([*raises(1), *others])

    assert "INTERNAL" == outcomes(results)[0]
    assert [] == told


async def test_a_wake_up_that_fails_does_not_undo_or_repeat_what_was_committed(
    alert_database: Database, logs: list[Any]
) -> None:
    def fail(_appended: Appended) -> None:
        raise RuntimeError("nobody home")

    async with running_ledger(alert_database, on_commit=fail) as ledger:
        results = await ledger.submit_many(raises(2))
        again = await ledger.submit(raising(failure(0, key=key(0))))

    assert [RaiseOutcome.RAISED] * 2 == outcomes(results)
    assert again.alert is not None
    assert 2 == again.alert.occurrences
    assert ["ledger_on_commit_failed"] == [entry["event"] for entry in logs]


async def test_a_database_that_dies_midway_leaves_all_or_nothing_and_a_retry_is_safe(
    durable_cluster: Cluster,
) -> None:
    url = await asyncio.to_thread(durable_cluster.create_database, "tocsin_alert")
    await migrate(url, migrations_of("alert"))
    database = Database(url, application_name="tests", pool_size=2)
    commands: list[Command] = [
        raising(failure(0, key=key(number)), request(f"r-{number}")) for number in range(200)
    ]
    ledger = new_ledger(database, max_batch=50)
    await ledger.start()
    killed = asyncio.Event()

    async def write(command: Any) -> Any:
        (result,) = outcomes(await ledger.submit_many([command]))
        if not killed.is_set():
            killed.set()
            durable_cluster.kill()
        return result

    before = await asyncio.gather(*(write(command) for command in commands))
    await asyncio.to_thread(durable_cluster.start)
    survivors = {alert.key for alert in await alerts_of(database)}
    results = await ledger.submit_many(commands)
    await ledger.stop()

    told = {key(number) for number, said in enumerate(before) if said == RaiseOutcome.RAISED}
    assert set(before) == {RaiseOutcome.RAISED, "DATABASE_UNAVAILABLE"}
    assert told <= survivors
    assert [RaiseOutcome.RAISED] * 200 == outcomes(results)
    assert [key(number) in survivors for number in range(200)] == [
        result.replayed for result in results if isinstance(result, RaiseAnswer)
    ]
    assert {1} == {alert.occurrences for alert in await alerts_of(database)}
    assert 200 == len(await events_of(database))
    await database.close()
