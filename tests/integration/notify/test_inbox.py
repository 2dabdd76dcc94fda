"""The inbox transaction: a batch is kept with all that follows, or not at all."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import UUID

import asyncpg
import pytest

from support.alert_stubs import EPOCH, alert_id, an_alert, an_event, resolved
from support.clock import ManualClock
from support.notify_ground import Ground, a_batch
from support.steering import a_route
from tocsin.api.alert.v1.event_pb2 import ALERT_EVENT_TYPE_RESOLVED, AlertEvent
from tocsin.notify.follower.convert import to_cursor
from tocsin.notify.follower.intake import Intake
from tocsin.notify.store import known_alerts
from tocsin.notify.store.inbox import Cursor, CursorMovedError
from tocsin.notify.store.routes import RouteStore

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tocsin.client.batch import StreamBatch
    from tocsin.common.postgres.engine import Database

pytestmark = pytest.mark.postgres

ALL = """
SELECT (SELECT count(*) FROM inbox_events), (SELECT count(*) FROM deliveries),
       (SELECT count(*) FROM known_alerts), (SELECT max(revision) FROM follower_position)
"""
ADDRESSED = "SELECT channel_id FROM deliveries WHERE event_id = $1"
QUARANTINE = """
SELECT event_id, type, alert_id, quarantine_reason, quarantined_payload
  FROM inbox_events WHERE document IS NULL
"""
START = Cursor(UUID(EPOCH), 0)


@pytest.fixture
async def ground(notify_database: Database, clock: ManualClock) -> Ground:
    ground = Ground(notify_database, clock)
    await ground.keep(a_batch(revision=0))
    return ground


class _BrokenOffError(Exception):
    pass


class _Fragile:
    """A connection that breaks at one of its statements."""

    def __init__(self, connection: asyncpg.Connection, good: int) -> None:
        self._connection = connection
        self._good = good

    def __getattr__(self, name: str) -> Any:
        if name in {"fetch", "fetchval", "fetchrow", "execute"}:
            if self._good == 0:
                raise _BrokenOffError
            self._good -= 1
        return getattr(self._connection, name)


def a_full_batch() -> StreamBatch:
    return a_batch(
        an_event(1, an_alert(1)),
        an_event(2, an_alert(2)),
        an_event(3, resolved(1), ALERT_EVENT_TYPE_RESOLVED),
    )


async def keep(
    database: Database, batch: StreamBatch, *, before: Cursor = START, good: int = 1_000
) -> Cursor:
    async with database.connection() as connection:
        return await Intake(ManualClock()).keep(_Fragile(connection, good), before, batch)


async def test_a_batch_that_breaks_at_any_statement_leaves_nothing_behind(ground: Ground) -> None:
    await ground.channel()
    broke = 0
    while True:
        try:
            await keep(ground.database, a_full_batch(), good=broke)
        except _BrokenOffError:
            broke += 1
            assert [(0, 0, 0, 0)] == await ground.rows(ALL)
        else:
            break

    assert 3 == broke  # each of its statements, and as many for any number of events
    assert [(3, 3, 1, 3)] == await ground.rows(ALL)


async def test_the_same_batch_again_changes_nothing(ground: Ground) -> None:
    await ground.channel()
    after = await keep(ground.database, a_full_batch())
    before = await ground.rows("SELECT * FROM deliveries ORDER BY delivery_id")

    await keep(ground.database, a_full_batch(), before=after)

    assert before == await ground.rows("SELECT * FROM deliveries ORDER BY delivery_id")
    assert [(3, 3, 1, 3)] == await ground.rows(ALL)


async def test_a_change_of_the_routes_is_heeded_by_the_next_batch(ground: Ground) -> None:
    first, second = await ground.channel(), await ground.channel()
    routes = RouteStore(ground.database, ground.clock)

    async def addressed() -> set[object]:
        [event_id] = await ground.raised(ground.revision)
        return {row[0] for row in await ground.rows(ADDRESSED, event_id)}

    assert {first, second} == await addressed()
    route = await routes.create(a_route(first))
    assert {first} == await addressed()
    await routes.update(replace(route, channel_ids=(second,)))
    assert {second} == await addressed()
    await routes.delete(route.route_id)
    assert {first, second} == await addressed()


class _Meanwhile:
    """A connection on which something happens right before the routes are read."""

    def __init__(
        self, connection: asyncpg.Connection, act: Callable[[], Awaitable[object]]
    ) -> None:
        self._connection = connection
        self._act = act
        self.has_acted = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    async def fetch(self, query: str, *arguments: Any) -> Any:
        if "FROM routes" in query and not self.has_acted:
            self.has_acted = True
            await self._act()
        return await self._connection.fetch(query, *arguments)


async def test_a_route_that_came_while_the_routes_were_read_is_not_heeded_once_it_is_gone(
    ground: Ground,
) -> None:
    first, second = await ground.channel(), await ground.channel()
    routes = RouteStore(ground.database, ground.clock)
    await routes.create(a_route(first, continue_matching=True))
    passing = a_route(second)
    intake = Intake(ground.clock)

    async with ground.database.connection() as connection:
        meanwhile = _Meanwhile(connection, lambda: routes.create(passing))
        after = await intake.keep(meanwhile, START, a_batch(an_event(1, an_alert(1))))
        await routes.delete(passing.route_id)
        await intake.keep(meanwhile, after, a_batch(an_event(2, an_alert(2))))

    assert meanwhile.has_acted
    assert 2 == len(await ground.of(first))
    assert [1] == [delivery.revision for delivery in await ground.of(second)]


async def test_of_two_followers_only_one_moves_the_position(ground: Ground) -> None:
    await ground.channel()

    ends = await asyncio.gather(
        *[keep(ground.database, a_full_batch()) for _ in range(4)], return_exceptions=True
    )

    assert 1 == sum(isinstance(end, Cursor) for end in ends)
    assert 3 == sum(isinstance(end, CursorMovedError) for end in ends)
    assert [(3, 3, 1, 3)] == await ground.rows(ALL)


async def test_a_follower_that_was_overtaken_writes_nothing(ground: Ground) -> None:
    await keep(ground.database, a_full_batch())

    with pytest.raises(CursorMovedError):
        await keep(ground.database, a_batch(an_event(4, an_alert(4))))

    assert [(3, 0, 1, 3)] == await ground.rows(ALL)


async def test_events_keep_the_order_of_the_log(ground: Ground) -> None:
    numbers = list(range(1, 400))
    await ground.take_in(*[an_event(number, an_alert(number)) for number in numbers])

    kept = await ground.rows("SELECT revision FROM inbox_events ORDER BY sequence")

    assert numbers == [revision for (revision,) in kept]


def broken(what: str) -> AlertEvent:
    event = an_event(2, an_alert(2))
    match what:
        case "type":
            event.type = 99  # type: ignore[assignment]
        case "large type":
            event.type = 2_000_000_000  # type: ignore[assignment]
        case "severity":
            event.alert.severity = 7  # type: ignore[assignment]
        case "no alert":
            event.ClearField("alert")
        case "alert id":
            event.alert.alert_id = "not a uuid"
        case "event id":
            event.event_id = ""
        case "year":
            event.occur_time.seconds = 10**15
        case "no time":
            event.ClearField("record_time")
        case "NUL":
            event.alert.labels["disk"] = "a\x00b"
    return event


REASONS = {
    "type": "type: 99 is not a value that is known here",
    "large type": "type: 2000000000 is not a value that is known here",
    "severity": "alert.severity: 7 is not a value that is known here",
    "no alert": "alert: is missing",
    "alert id": "alert.alert_id: is not a UUID",
    "event id": "event_id: is not a UUID",
    "year": "occur_time: is not in the years 1 to 9999",
    "no time": "record_time: is missing",
    "NUL": "alert.labels.disk: holds a NUL character",
}


@pytest.mark.parametrize("what", REASONS)
async def test_an_event_that_cannot_be_read_is_quarantined_and_the_rest_goes_on(
    ground: Ground, what: str
) -> None:
    channel_id = await ground.channel()
    bad = broken(what)

    await ground.keep(a_batch(an_event(1, an_alert(1)), bad, an_event(3, an_alert(3))))

    assert [1, 3] == [delivery.revision for delivery in await ground.of(channel_id)]
    [(_, _, _, reason, payload)] = await ground.rows(QUARANTINE)
    assert REASONS[what] == reason
    assert isinstance(payload, bytes)
    assert bad == AlertEvent.FromString(payload)


async def test_an_unreadable_event_without_an_id_is_the_same_at_each_reading(
    ground: Ground,
) -> None:
    batch = a_batch(broken("event id"))

    after = await ground.keep(batch)
    await ground.keep(batch)

    assert 1 == len(await ground.rows(QUARANTINE))
    assert to_cursor(batch.position) == after


async def test_an_event_that_the_database_refuses_is_quarantined_alone(
    ground: Ground, notify_database: Database
) -> None:
    channel_id = await ground.channel()
    async with notify_database.connection() as connection:
        await connection.execute(
            "ALTER TABLE inbox_events ADD CHECK (document ->> 'note' IS DISTINCT FROM 'poison')"
        )
    bad = an_event(2, an_alert(2))
    bad.note = "poison"

    await ground.keep(a_batch(an_event(1, an_alert(1)), bad, an_event(3, an_alert(3))))

    assert [1, 3] == [delivery.revision for delivery in await ground.of(channel_id)]
    [(event_id, _, _, reason, _)] = await ground.rows(QUARANTINE)
    assert bad.event_id == str(event_id)
    assert str(reason).startswith("the database refuses it: ")


async def test_an_alert_stays_known_also_by_an_event_of_a_type_that_is_not(ground: Ground) -> None:
    await ground.keep(a_batch(broken("type")))

    known = await ground.rows("SELECT alert_id FROM known_alerts")

    assert [(UUID(alert_id(2)),)] == known


async def test_a_channel_deleted_at_the_same_moment_is_left_with_nothing_unfinished(
    ground: Ground,
) -> None:
    for number in range(1, 31, 2):
        channel_id = await ground.channel()
        batch = a_batch(an_event(number, an_alert(number), epoch=EPOCH))

        await asyncio.gather(ground.keep(batch), ground.channels.delete(channel_id))

    assert 0 == await ground.unfinished()


async def test_an_event_id_that_was_taken_in_before_is_not_addressed_again(ground: Ground) -> None:
    event = an_event(1, an_alert(1))
    await ground.take_in(event)
    late = await ground.channel()
    again = an_event(2, an_alert(1))
    again.event_id = event.event_id

    await ground.take_in(again)

    assert [] == await ground.of(late)


class _Overtaken(_Fragile):
    """A connection on which somebody else is quicker, so many times."""

    def __getattr__(self, name: str) -> Any:
        if name == "execute" and self._good > 0:
            self._good -= 1
            raise asyncpg.UniqueViolationError("somebody was quicker")
        return getattr(self._connection, name)


@pytest.mark.parametrize("times", [1, 2])
async def test_an_event_is_not_quarantined_for_somebody_who_was_quicker(
    ground: Ground, notify_database: Database, times: int
) -> None:
    channel_id = await ground.channel()

    async with notify_database.connection() as connection:
        overtaken = _Overtaken(connection, times)
        await Intake(ManualClock()).keep(overtaken, START, a_full_batch())

    assert [1, 2, 3] == [delivery.revision for delivery in await ground.of(channel_id)]
    assert [] == await ground.rows(QUARANTINE)


async def test_what_is_known_of_an_alert_can_be_looked_at(
    ground: Ground, notify_database: Database
) -> None:
    await ground.keep(a_batch(an_event(1, an_alert(1)), broken("severity")))

    async with notify_database.connection() as connection:
        views = await known_alerts.read_views(connection)

    assert [alert_id(1)] == [str(view.alert_id) for view in views]
