"""Reports that are decided before anything is locked, while other processes write the same keys."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.clock import ManualClock
from support.ledgers import alerts_of, clearing, events_of, raising, request, running_ledger
from support.observed import ANN, BOB, KEY, at, failure, success
from support.statements import RecordingDatabase
from support.waiting import eventually
from tocsin.alert.domain.alert import Alert, Severity, Status
from tocsin.alert.domain.host import HostSpec
from tocsin.alert.domain.key import Key
from tocsin.alert.domain.outcome import ClearOutcome, RaiseOutcome
from tocsin.alert.ledger import first_try
from tocsin.alert.ledger.backup_commands import PutHost
from tocsin.alert.ledger.commands import Acknowledge, Lapse, Resolve
from tocsin.alert.store.changes import Changes, KeyChange, call_to_write
from tocsin.alert.store.expected import Expected, call_to_hold, write_if
from tocsin.alert.store.keys import Read, StoredKey, lock_keys, read_keys
from tocsin.common.errors import TocsinError, UnavailableError
from tocsin.common.ids import uuid7

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

    import asyncpg

    from tocsin.alert.ledger import Ledger
    from tocsin.alert.ledger.commands import Command
    from tocsin.common.postgres.engine import Database

pytestmark = pytest.mark.postgres

OTHER = Key("host-b", "backup_failed", "")


@pytest.fixture
async def database(alert_url: str) -> AsyncIterator[RecordingDatabase]:
    database = RecordingDatabase(alert_url)
    yield database
    await database.close()


@pytest.fixture
async def here(database: RecordingDatabase) -> AsyncIterator[Ledger]:
    """The ledger that remembers."""
    async with running_ledger(database) as ledger:
        yield ledger


@pytest.fixture
async def elsewhere(alert_database: Database) -> AsyncIterator[Ledger]:
    """The ledger of another replica."""
    async with running_ledger(alert_database) as ledger:
        yield ledger


def functions_of(database: RecordingDatabase) -> list[str]:
    """Return the functions that were called since the last time, one for each statement."""
    queries = [each.query for each in database.statements]
    database.statements.clear()
    return [re.split(r"_\d\(", query)[0].rsplit(" ", 1)[-1] for query in queries]


async def only_alert(database: Database) -> Alert:
    (alert,) = await alerts_of(database)
    return alert


async def test_a_touch_counts_what_another_replica_has_counted(
    here: Ledger, elsewhere: Ledger, database: RecordingDatabase
) -> None:
    await here.submit(raising(failure(0)))
    await elsewhere.submit(raising(failure(2, message="theirs", cause="io")))
    database.statements.clear()
    answer = await here.submit(raising(failure(1, message="ours")))
    called = functions_of(database)

    alert = await only_alert(database)
    assert (3, "theirs", "io", at(2)) == (
        alert.occurrences,
        alert.message,
        alert.cause,
        alert.last_seen_time,
    )
    assert (RaiseOutcome.TOUCHED, alert) == (answer.outcome, answer.alert)
    assert ["hold_unchanged", "read_keys", "hold_unchanged"] == called


async def test_a_success_that_remembers_nothing_open_resolves_what_another_replica_has_raised(
    here: Ledger, elsewhere: Ledger, database: RecordingDatabase
) -> None:
    for minute in (0, 0):  # the second one writes nothing
        nothing = await here.submit(clearing(success(minute)))
        assert (ClearOutcome.NOTHING_OPEN, None) == (nothing.outcome, nothing.alert)
    await elsewhere.submit(raising(failure(0)))
    late = await here.submit(clearing(success(0)))
    cleared = await here.submit(clearing(success(2)))

    assert ClearOutcome.STALE == late.outcome
    assert late.alert is not None
    assert ClearOutcome.RESOLVED == cleared.outcome
    assert Status.RESOLVED == (await only_alert(database)).status


@pytest.mark.parametrize("act", ["resolve", "acknowledge", "clear"])
async def test_what_is_done_elsewhere_to_an_alert_that_is_remembered_is_seen(
    here: Ledger, elsewhere: Ledger, database: RecordingDatabase, act: str
) -> None:
    first = (await here.submit(raising(failure(0)))).alert
    assert first is not None
    acts: dict[str, Command] = {
        "resolve": Resolve(first.alert_id, "", ANN),
        "acknowledge": Acknowledge(first.alert_id, "", at(10**6), ANN),
        "clear": clearing(success(1)),
    }
    await elsewhere.submit_many([acts[act]])
    answer = await here.submit(raising(failure(2)))

    expected = RaiseOutcome.TOUCHED if act == "acknowledge" else RaiseOutcome.RAISED
    assert expected == answer.outcome
    latest = (await alerts_of(database))[-1]
    assert latest == answer.alert
    assert Status.OPEN == latest.status or act == "acknowledge"


async def test_a_host_that_is_put_elsewhere_gives_its_name_and_labels_at_once(
    alert_database: Database,
) -> None:
    """All of it at one moment of the clock, so no time tells that the host has changed."""
    clock = ManualClock()
    specs = (
        HostSpec(KEY.host_id, "Alpha", {}),
        HostSpec(KEY.host_id, "Beta", {}),
        HostSpec(KEY.host_id, "Beta", {"team": "storage"}),
    )
    seen = []
    async with (
        running_ledger(alert_database, clock=clock) as here,
        running_ledger(alert_database, clock=clock) as elsewhere,
    ):
        await here.submit(raising(failure(0)))
        for minute, spec in enumerate(specs, start=1):
            await elsewhere.submit(PutHost(spec, ANN))
            await here.submit(clearing(success(minute)))
            alert = (await here.submit(raising(failure(minute)))).alert
            assert alert is not None
            seen.append((alert.host_name, alert.host_labels))

    assert [(spec.name, spec.labels) for spec in specs] == seen


async def test_a_host_that_was_put_is_compared_as_it_is(
    here: Ledger, database: RecordingDatabase
) -> None:
    await here.submit(PutHost(HostSpec(KEY.host_id, 'Ä "b"', {"b": "é", "a": "'x'"}), ANN))
    await here.submit(raising(failure(0)))
    database.statements.clear()
    await here.submit(raising(failure(1)))

    assert ["hold_unchanged"] == functions_of(database)


async def test_what_was_written_is_remembered_as_it_is_read(
    here: Ledger, elsewhere: Ledger, database: RecordingDatabase
) -> None:
    """So a second touch finds all as it expects, whoever has read it."""
    odd = failure(0, labels={"zz": "1", "a": "ü"}, message="é\n")
    for ledger in (here, elsewhere):
        for _ in range(2):
            await ledger.submit(raising(odd))
    database.statements.clear()
    await elsewhere.submit(clearing(success(1)))
    await here.submit(raising(failure(2)))
    await here.submit(raising(failure(2)))
    functions_of(database)
    await here.submit(raising(failure(3, severity=Severity.CRITICAL)))
    await here.submit(clearing(success(4)))
    await here.submit(clearing(success(5)))

    assert ["hold_unchanged"] * 3 == functions_of(database)


async def test_a_database_that_was_restored_from_an_older_backup_is_believed(
    here: Ledger, database: RecordingDatabase
) -> None:
    """The rows are put back as they were, with nothing else to tell of it."""
    await here.submit(raising(failure(0)))
    backup = await only_alert(database)
    await here.submit(raising(failure(1, severity=Severity.CRITICAL)))
    await here.submit(raising(failure(2, message="lost")))
    async with database.transaction() as connection:
        await lock_keys(connection, [KEY])
        call = call_to_write(Changes([], [backup], [], {}, {}), at(0))
        assert call is not None
        await connection.execute(f"SELECT {call.sql}", *call.arguments)
        await connection.execute("DELETE FROM events WHERE revision > 1")
    touched = await here.submit(raising(failure(3)))

    assert backup._replace(occurrences=2, version=2, last_seen_time=at(3)) == touched.alert
    assert touched.alert == await only_alert(database)

    async with database.connection() as connection:
        await connection.execute("DELETE FROM alerts; DELETE FROM alert_keys; DELETE FROM events")
    raised = await here.submit(raising(failure(4)))
    assert (RaiseOutcome.RAISED, 1) == (raised.outcome, raised.alert and raised.alert.version)


async def test_a_key_that_another_replica_creates_meanwhile_is_seen(
    here: Ledger, database: RecordingDatabase, alert_database: Database
) -> None:
    async with alert_database.transaction() as rival:
        await rival.execute("INSERT INTO alert_keys VALUES ($1, $2, $3, $4)", *KEY, at(5))
        waiting = asyncio.ensure_future(here.submit_many([raising(failure(0))]))
        await eventually(lambda: is_waiting(database))
    (stale,) = await waiting

    assert not isinstance(stale, TocsinError)
    assert RaiseOutcome.STALE == stale.outcome  # type: ignore[union-attr]  # of a RaiseAnswer
    assert [] == await alerts_of(database)
    assert [] == await events_of(database)


async def test_the_time_is_taken_after_all_that_is_decided_by_was_known(
    alert_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So what is recorded of one key later has a later time, whoever has written before."""
    steps: list[str] = []

    class Noted(ManualClock):
        def now(self) -> datetime:
            steps.append("time")
            return super().now()

    async def noted(*arguments: Any) -> Read:
        read = await read_keys(*arguments)
        steps.append("read")
        return read

    monkeypatch.setattr(first_try, "read_keys", noted)
    async with running_ledger(alert_database, clock=Noted()) as ledger:
        for minute in range(2):
            await ledger.submit(raising(failure(minute)))

    assert ["read", "time", "time"] == steps


@pytest.mark.parametrize("change", ["touched", "cleared", "nothing"])
async def test_what_is_compared_after_a_lock_is_what_its_holder_has_left(
    here: Ledger, alert_database: Database, change: str
) -> None:
    alert = (await here.submit(raising(failure(0)))).alert
    assert alert is not None
    expected = Expected({KEY: StoredKey(None, alert)}, {}, {}, (), at(0))
    changes = {
        "touched": Changes([], [], [alert._replace(version=2)], {}, {}),
        "cleared": Changes([], [], [], {KEY: KeyChange(at(1), alert.alert_id)}, {}),
        "nothing": None,
    }[change]
    async with alert_database.connection() as connection, alert_database.connection() as other:
        begun = connection.transaction()
        await begun.start()
        await lock_keys(connection, [KEY])
        waiting = asyncio.create_task(write_if(other, call_to_hold(expected), None))
        await eventually(lambda: is_waiting(alert_database))
        if changes is not None:
            call = call_to_write(changes, at(0))
            assert call is not None
            await connection.execute(f"SELECT {call.sql}", *call.arguments)
        await begun.commit()
        held = await waiting

    assert (change == "nothing") is held


async def test_nothing_is_held_where_statements_do_not_see_what_was_committed_last(
    alert_database: Database,
) -> None:
    nothing = Expected({}, {}, {}, (), at(0))
    async with alert_database.connection() as connection:
        assert await write_if(connection, call_to_hold(nothing), None)
        async with connection.transaction(isolation="repeatable_read"):
            assert not await write_if(connection, call_to_hold(nothing), None)


async def test_after_a_connection_was_lost_nothing_is_remembered(
    here: Ledger, database: RecordingDatabase, alert_database: Database
) -> None:
    await here.submit(raising(failure(0)))
    async with alert_database.transaction() as holder:
        await lock_keys(holder, [KEY])
        waiting = asyncio.ensure_future(here.submit(raising(failure(1))))
        await eventually(lambda: is_waiting(alert_database))
        await holder.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        with pytest.raises(UnavailableError):
            await waiting
    functions_of(database)
    answer = await here.submit(raising(failure(2)))

    assert ["read_keys", "hold_unchanged"] == functions_of(database)
    assert answer.alert is not None
    assert 2 == answer.alert.occurrences


async def test_an_answer_that_is_remembered_is_given_again_and_writes_nothing(
    here: Ledger, elsewhere: Ledger, database: RecordingDatabase
) -> None:
    first = await here.submit(raising(failure(0), request("r-1")))
    again = await elsewhere.submit(raising(failure(0), request("r-1")))
    once_more = await here.submit(raising(failure(0), request("r-1")))

    assert first.alert == again.alert == once_more.alert
    assert [True, True] == [again.replayed, once_more.replayed]
    assert 1 == (await only_alert(database)).occurrences


async def test_where_replicas_meet_all_the_time_the_lock_is_taken_first(
    here: Ledger, elsewhere: Ledger, database: RecordingDatabase
) -> None:
    await here.submit(raising(failure(0)))
    for minute in range(12):
        await elsewhere.submit(raising(failure(minute)))
        await here.submit(raising(failure(minute)))
    called = functions_of(database)
    assert 25 == (await only_alert(database)).occurrences
    # It was tried by memory at first, and ever more rarely.
    assert called.count("read_keys") >= 6
    assert called.count("hold_unchanged") <= 16

    for minute in range(40):
        await here.submit(raising(failure(minute)))
    assert "hold_unchanged" == functions_of(database)[-1]


steps = st.one_of(
    st.tuples(
        st.just("fail"),
        st.integers(0, 6),
        st.sampled_from(Severity),
        st.sampled_from(["", "io", "locked"]),
        st.sampled_from(["", "m1", "m2"]),
    ),
    st.tuples(st.just("succeed"), st.integers(0, 6)),
    st.tuples(st.just("acknowledge")),
    st.tuples(st.just("resolve")),
    st.tuples(st.just("put"), st.sampled_from(["Alpha", "Beta"]), st.sampled_from(["x", "y"])),
)
batches = st.lists(st.tuples(st.integers(0, 1), steps), min_size=1, max_size=4)
histories = st.lists(st.tuples(st.integers(0, 1), batches), min_size=1, max_size=10)


class Life:
    """A host with two keys, written by either of two ledgers."""

    def __init__(self, ledgers: tuple[Ledger, Ledger], host_id: str, *, is_locked: bool) -> None:
        self._ledgers = ledgers
        self._host = host_id
        self._is_locked = is_locked
        self._latest: dict[Key, Alert] = {}

    async def write(self, ledger: int, batch: list[tuple[int, Any]]) -> list[Any]:
        """Write a batch, and return what was told of it."""
        commands = [self._command(*each) for each in batch]
        other: list[Command] = [Lapse(uuid7())] if self._is_locked else []
        results = await self._ledgers[ledger].submit_many(commands + other)
        told = []
        for result in results[: len(commands)]:
            alert = getattr(result, "alert", None)
            if alert is not None:
                self._latest[alert.key] = alert
            did = result.reason if isinstance(result, TocsinError) else _did(result)
            told.append((did, self.seen(alert)))
        return told

    def seen(self, alert: Alert | None) -> Any:
        """Return what of an alert does not depend on ids."""
        previous = None if alert is None else alert.previous_alert_id is not None
        host = None if alert is None else alert.host_name.replace(self._host, "host")
        return alert and (*alert[3:13], host, previous, *alert[14:], alert.key.dedup_key)

    def _command(self, place: int, step: Any) -> Command:
        key = Key(self._host, "backup_failed", str(place))
        latest = self._latest.get(key)
        match step:
            case ("fail", minutes, severity, cause, message):
                seen = failure(minutes, key=key, severity=severity, cause=cause, message=message)
                return raising(seen)
            case ("put", name, label):
                return PutHost(HostSpec(self._host, name, {"l": label}), ANN)
            case ("acknowledge",) if latest:
                return Acknowledge(latest.alert_id, "", at(10**6), ANN)
            case ("resolve",) if latest:
                return Resolve(latest.alert_id, "", ANN)
            case _:
                return clearing(success(step[1] if step[0] == "succeed" else 3, key=key))


def _did(result: Any) -> Any:
    return getattr(result, "outcome", getattr(result, "changed", "put"))


async def _left(connection: asyncpg.Connection, host_id: str) -> Any:
    keys = await connection.fetch(
        "SELECT dedup_key, cleared_time, last_alert_id IS NULL FROM alert_keys"
        " WHERE host_id = $1 AND kind = 'backup_failed'"
        " AND (cleared_time, last_alert_id) IS DISTINCT FROM (NULL, NULL) ORDER BY 1",
        host_id,
    )
    return [tuple(key) for key in keys]


@settings(
    max_examples=60,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(history=histories)
async def test_histories_of_two_replicas_are_those_of_writers_that_lock_first(
    alert_database: Database, ledgers_at_one_time: tuple[Ledger, Ledger], history: Any
) -> None:
    name = str(uuid7())
    tried = Life(ledgers_at_one_time, f"{name}-tried", is_locked=False)
    locked = Life(ledgers_at_one_time, f"{name}-locked", is_locked=True)
    for ledger, batch in history:
        assert await locked.write(ledger, batch) == await tried.write(ledger, batch)

    alerts = await alerts_of(alert_database)
    events = await events_of(alert_database)
    left = []
    async with alert_database.connection() as connection:
        for life, host in ((tried, f"{name}-tried"), (locked, f"{name}-locked")):
            left.append(
                (
                    [life.seen(alert) for alert in alerts if alert.key.host_id == host],
                    [
                        (event.type, life.seen(event.alert), event.occur_time, event.note)
                        for event in events
                        if event.alert.key.host_id == host
                    ],
                    await _left(connection, host),
                )
            )
    assert left[1] == left[0]


@pytest.fixture
async def ledgers_at_one_time(
    alert_database: Database, database: RecordingDatabase
) -> AsyncIterator[tuple[Ledger, Ledger]]:
    """Two ledgers whose clock stands, so that what they write differs in nothing but ids."""
    clock = ManualClock(at(60))
    async with (
        running_ledger(alert_database, clock=clock) as one,
        running_ledger(database, clock=clock) as two,
    ):
        yield one, two


async def is_waiting(database: Database) -> bool:
    """Whether somebody waits for a lock."""
    async with database.connection() as connection:
        found: bool = await connection.fetchval(
            "SELECT count(*) > 0 FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return found


@pytest.mark.parametrize("is_locked", [True, False])
async def test_a_flooding_host_gets_all_of_its_room_although_the_first_try_was_in_vain(
    alert_database: Database, is_locked: bool
) -> None:
    def key(number: int) -> Key:
        return Key("flooding", "backup_failed", str(number))

    async with (
        running_ledger(alert_database, open_alerts_per_host=20) as here,
        running_ledger(alert_database) as elsewhere,
    ):
        await here.submit_many([raising(failure(0, key=key(number))) for number in range(18)])
        await elsewhere.submit(raising(failure(1, key=key(17))))
        others: list[Command] = [Lapse(uuid7())] if is_locked else []
        numbers = (17, 0, 1, 20, 21, 22)
        await here.submit_many([*others, *(raising(failure(2, key=key(n))) for n in numbers)])

    assert 20 == sum(alert.key.kind == "backup_failed" for alert in await alerts_of(alert_database))


async def test_an_acknowledgement_that_was_lost_with_a_restored_database_is_not_remembered(
    here: Ledger, elsewhere: Ledger, alert_database: Database
) -> None:
    alert = (await here.submit(raising(failure(0)))).alert
    assert alert is not None
    await here.submit(Acknowledge(alert.alert_id, "lost", at(10**6), ANN))
    async with alert_database.transaction() as connection:
        await lock_keys(connection, [KEY])
        restored = call_to_write(Changes([], [alert], [], {}, {}), at(0))
        assert restored is not None
        await connection.execute(f"SELECT {restored.sql}", *restored.arguments)
    kept = (await elsewhere.submit(Acknowledge(alert.alert_id, "", at(2 * 10**6), BOB))).alert

    touched = (await here.submit(raising(failure(0)))).alert

    assert touched is not None
    assert kept.acknowledgement == touched.acknowledgement
    assert kept.acknowledgement == (await only_alert(alert_database)).acknowledgement


async def test_many_old_keys_that_are_not_remembered_are_locked_at_once_the_next_time(
    here: Ledger, elsewhere: Ledger, database: RecordingDatabase
) -> None:
    def reports(first: int) -> list[Command]:
        numbers = range(first, first + 20)
        return [raising(failure(0, key=Key("host-a", "disk_full", str(n)))) for n in numbers]

    await elsewhere.submit_many([*reports(0), *reports(20), *reports(40)])
    database.statements.clear()
    await here.submit_many(reports(0))
    first = functions_of(database)
    await here.submit_many(reports(20))
    second = functions_of(database)
    await here.submit_many(reports(20))
    remembered = functions_of(database)

    assert ["read_keys", "hold_unchanged"] == first
    assert "lock_and_read" in second
    assert "read_keys" not in second
    assert ["hold_unchanged"] == remembered
