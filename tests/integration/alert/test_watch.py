"""WatchEvents over a real gRPC server: nothing missing, nothing twice, in the order of commit."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import grpc
import pytest

from support.eventlog import OTHER_EPOCH, new_entry, write
from support.waiting import eventually
from support.watching import NEVER, Told, watching
from tocsin.alert.eventlog import identity, log
from tocsin.alert.rpc.subscriber import WatchLimits
from tocsin.api.alert.v1 import alert_pb2, event_pb2
from tocsin.api.alert.v1.alert_service_pb2_grpc import AlertServiceStub
from tocsin.common.ids import uuid7

if TYPE_CHECKING:
    from tocsin.common.postgres.engine import Database

pytestmark = pytest.mark.postgres

SEED = 11
# A client that does not widen its window: the server notices soon that it does not read.
NO_PROBING = [("grpc.http2.bdp_probe", 0)]
BIG = event_pb2.AlertEvent(note="x" * 100_000).SerializeToString()


async def test_without_a_position_the_first_message_says_at_once_where_now_is(
    alert_database: Database,
) -> None:
    await write(alert_database, 5)
    async with watching(alert_database) as server:
        first = await server.stream().read()
        assert await server.position() == (first.position.epoch, first.position.revision)
        assert first.caught_up
        assert not first.events


async def test_from_now_everything_that_follows_comes_and_nothing_before(
    alert_database: Database,
) -> None:
    await write(alert_database, 5)
    async with watching(alert_database) as server:
        stream = await server.from_now()
        await write(alert_database, 3)
        assert [6, 7, 8] == await stream.until_revision(8)


async def test_revision_0_without_an_epoch_starts_at_the_oldest_kept(
    alert_database: Database,
) -> None:
    await write(alert_database, 10)
    async with alert_database.connection() as connection:
        await connection.execute("DELETE FROM events WHERE revision < 4")
    async with watching(alert_database) as server:
        assert [4, 5, 6, 7, 8, 9, 10] == await server.stream(("", 0)).until_revision(10)


async def test_an_event_bears_its_own_position_and_what_was_written(
    alert_database: Database,
) -> None:
    payload = event_pb2.AlertEvent(event_id=str(uuid4()), note="grüße").SerializeToString()
    await write(alert_database, payload=payload)
    async with watching(alert_database) as server:
        message = await server.stream(("", 0)).read()
        expected = event_pb2.AlertEvent.FromString(payload)
        expected.position.CopyFrom(message.position)
        assert [expected] == list(message.events)


async def test_resuming_at_any_position_gives_exactly_the_rest(alert_database: Database) -> None:
    await write(alert_database, 60)
    chance = random.Random(SEED)
    async with watching(alert_database, max_entries=20) as server:
        await write(alert_database, 40)
        epoch, head = await server.position()
        for after in [0, 59, 60, 99, *(chance.randrange(head) for _ in range(15))]:
            stream = server.stream((epoch, after))
            assert list(range(after + 1, 101)) == await stream.until_revision(head)
            stream.call.cancel()


async def test_resuming_at_the_end_says_at_once_that_there_is_nothing(
    alert_database: Database,
) -> None:
    await write(alert_database, 5)
    async with watching(alert_database) as server:
        first = await server.stream(await server.position()).read()
        assert (5, True, 0) == (first.position.revision, first.caught_up, len(first.events))


async def test_several_events_come_in_one_message_bounded_by_count(
    alert_database: Database,
) -> None:
    await write(alert_database, 25)
    limits = WatchLimits(entries=10, bookmark_every=NEVER)
    async with watching(alert_database, limits=limits) as server:
        stream = server.stream(("", 0))
        await stream.until_revision(25)
        assert [10, 10, 5] == [len(message.events) for message in stream.messages]
        assert [False, False, True] == [message.caught_up for message in stream.messages]


async def test_messages_of_big_events_stay_far_below_what_a_client_takes(
    alert_database: Database,
) -> None:
    await write(alert_database, 30, payload=BIG)
    async with watching(alert_database) as server:
        stream = server.stream(("", 0))
        assert list(range(1, 31)) == await stream.until_revision(30)
        assert max(message.ByteSize() for message in stream.messages) < 2 * 2**20


async def test_a_subscriber_that_fell_behind_is_switched_to_pages_and_misses_nothing(
    alert_database: Database,
) -> None:
    """The broadcast holds far less than the subscriber leaves unread."""
    limits = WatchLimits(entries=7, bookmark_every=NEVER)
    async with watching(alert_database, limits=limits, max_entries=20) as server:
        stream = await server.from_now()
        for _ in range(20):
            await write(alert_database, 10, payload=BIG)
        await eventually(lambda: server.follower.broadcast.head == 200)
        assert server.follower.broadcast.after(100, 1, 1) is None
        assert list(range(1, 201)) == await stream.until_revision(200)
        await write(alert_database)
        assert 201 == (await stream.until_revision(201))[-1]


async def test_a_slow_subscriber_does_not_delay_another(alert_database: Database) -> None:
    async with watching(alert_database) as server:
        await server.from_now()  # and reads no more
        quick = await server.from_now()
        for _ in range(10):
            await write(alert_database, 10, payload=BIG)
        assert list(range(1, 101)) == await quick.until_revision(100)


async def test_a_subscriber_that_reads_nothing_is_dropped(alert_database: Database) -> None:
    await write(alert_database, 200, payload=BIG)
    limits = WatchLimits(write_patience=timedelta(milliseconds=200))
    async with (
        watching(alert_database, limits=limits) as server,
        grpc.aio.insecure_channel(server.target, options=NO_PROBING) as channel,
    ):
        lazy = server.stream(("", 0), stub=AlertServiceStub(channel))
        await lazy.read()
        await eventually(lambda: server.watch.subscribers == 0)
        assert Told(grpc.StatusCode.RESOURCE_EXHAUSTED, "SLOW_SUBSCRIBER", {}) == await lazy.error()


async def test_with_filters_only_what_is_wanted_comes_and_positions_still_advance(
    alert_database: Database,
) -> None:
    limits = WatchLimits(bookmark_every=timedelta(milliseconds=50))
    async with watching(alert_database, limits=limits) as server:
        stream = await server.from_now(
            host_ids=["host-1", "host-2"],
            kinds=["backup_failed"],
            min_severity=alert_pb2.SEVERITY_WARNING,
            types=[event_pb2.ALERT_EVENT_TYPE_RAISED],
        )
        await write(alert_database)
        await write(alert_database, host_id="host-3")
        await write(alert_database, kind="check_failed")
        await write(alert_database, host_id="host-2", severity=3)
        await write(alert_database, severity=1)
        await write(alert_database, type=6)
        assert [1, 4] == await stream.until_revision(6)
        assert stream.messages[-1].caught_up


async def test_reading_up_with_everything_filtered_out_ends_with_a_bookmark_at_once(
    alert_database: Database,
) -> None:
    await write(alert_database, 2_000)
    async with watching(alert_database) as server:
        stream = server.stream(("", 0), host_ids=["another"])
        last = await stream.until(lambda message: message.caught_up)
        assert (2_000, []) == (last.position.revision, stream.revisions)


async def test_a_bookmark_comes_whenever_nothing_else_came_for_a_while(
    alert_database: Database,
) -> None:
    await write(alert_database, 3)
    limits = WatchLimits(bookmark_every=timedelta(milliseconds=20))
    async with watching(alert_database, limits=limits) as server:
        stream = server.stream()
        for _ in range(3):
            bookmark = await stream.read()
            assert (3, True, 0) == (
                bookmark.position.revision,
                bookmark.caught_up,
                len(bookmark.events),
            )


async def test_a_bookmark_never_overtakes_an_event(alert_database: Database) -> None:
    limits = WatchLimits(bookmark_every=timedelta(milliseconds=1))
    async with watching(alert_database, limits=limits) as server:
        stream = await server.from_now()
        for _ in range(50):
            await write(alert_database, 2)
        assert list(range(1, 101)) == await stream.until_revision(100)
        at = 0
        for message in stream.messages:
            assert list(range(at + 1, message.position.revision + 1)) == [
                event.position.revision for event in message.events
            ]
            at = message.position.revision


async def test_while_the_log_cannot_be_followed_nobody_is_told_to_have_caught_up(
    alert_database: Database,
) -> None:
    limits = WatchLimits(bookmark_every=timedelta(milliseconds=20))
    async with watching(alert_database, limits=limits) as server:
        stream = await server.from_now()
        await server.follower.tail.stop()
        await stream.until(lambda message: not message.caught_up)
        await server.follower.tail.start()
        await stream.until(lambda message: message.caught_up)


async def test_a_position_that_is_no_longer_kept_is_refused_with_the_oldest_one(
    alert_database: Database,
) -> None:
    await write(alert_database, 10)
    async with alert_database.connection() as connection:
        await connection.execute("DELETE FROM events WHERE revision < 5")
    async with watching(alert_database) as server:
        epoch, _ = await server.position()
        metadata = {"oldest_revision": "4", "head_revision": "10", "epoch": epoch}
        compacted = Told(grpc.StatusCode.OUT_OF_RANGE, "REVISION_COMPACTED", metadata)
        assert compacted == await server.stream((epoch, 3)).error()
        assert compacted == await server.stream((epoch, 0)).error()
        assert [5, 6, 7, 8, 9, 10] == await server.stream((epoch, 4)).until_revision(10)


async def test_a_live_reader_overtaken_by_compaction_learns_so(alert_database: Database) -> None:
    limits = WatchLimits(entries=5, bookmark_every=NEVER)
    async with (
        watching(alert_database, limits=limits, max_entries=10) as server,
        grpc.aio.insecure_channel(server.target, options=NO_PROBING) as channel,
    ):
        stream = server.stream(stub=AlertServiceStub(channel))
        await stream.read()
        await write(alert_database, 200, payload=BIG)
        await eventually(lambda: server.follower.broadcast.head == 200)
        async with alert_database.connection() as connection:
            await connection.execute("DELETE FROM events WHERE revision < 150")
        assert "REVISION_COMPACTED" == (await stream.error()).reason
        assert stream.revisions == list(range(1, len(stream.revisions) + 1))


async def test_a_position_ahead_of_the_log_is_refused_with_its_end(
    alert_database: Database,
) -> None:
    await write(alert_database, 10)
    async with watching(alert_database) as server:
        epoch, _ = await server.position()
        metadata = {"head_revision": "10", "epoch": epoch}
        assert (
            Told(grpc.StatusCode.OUT_OF_RANGE, "REVISION_FUTURE", metadata)
            == await server.stream((epoch, 11)).error()
        )


async def test_a_position_of_another_epoch_is_refused_with_the_present_one(
    alert_database: Database,
) -> None:
    async with watching(alert_database) as server:
        epoch, _ = await server.position()
        changed = Told(grpc.StatusCode.FAILED_PRECONDITION, "EPOCH_CHANGED", {"epoch": epoch})
        assert changed == await server.stream((OTHER_EPOCH, 0)).error()


async def test_live_streams_end_when_the_epoch_changes(alert_database: Database) -> None:
    async with watching(alert_database) as server:
        stream = await server.from_now()
        epoch = await identity.renew(alert_database, uuid7)
        changed = Told(grpc.StatusCode.FAILED_PRECONDITION, "EPOCH_CHANGED", {"epoch": str(epoch)})
        assert changed == await stream.error()


async def test_a_reader_of_pages_learns_of_a_new_epoch_before_the_tail_does(
    alert_database: Database,
) -> None:
    limits = WatchLimits(entries=5, bookmark_every=NEVER)
    async with (
        watching(alert_database, limits=limits, max_entries=10) as server,
        grpc.aio.insecure_channel(server.target, options=NO_PROBING) as channel,
    ):
        stream = server.stream(stub=AlertServiceStub(channel))
        await stream.read()
        await write(alert_database, 200, payload=BIG)
        await eventually(lambda: server.follower.broadcast.head == 200)
        await server.follower.tail.stop()
        await identity.renew(alert_database, uuid7)
        assert "EPOCH_CHANGED" == (await stream.error()).reason


@pytest.mark.parametrize("after", [("", 5), ("no uuid", 5), ("", -1), (str(OTHER_EPOCH), -1)])
async def test_a_position_that_makes_no_sense_is_an_invalid_field(
    alert_database: Database, after: tuple[str, int]
) -> None:
    async with watching(alert_database) as server:
        refused = await server.stream(after).error()
        assert Told(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", {}) == refused


async def test_a_gap_stops_live_streams_and_those_that_read_pages(
    alert_database: Database,
) -> None:
    async with watching(alert_database) as server:
        epoch, _ = await server.position()
        live = await server.from_now()
        async with alert_database.transaction() as connection:
            await log.append(connection, [new_entry() for _ in range(3)])
            await connection.execute("DELETE FROM events WHERE revision = 2")
        broken = Told(
            grpc.StatusCode.DATA_LOSS, "LOG_BROKEN", {"after_revision": "0", "epoch": epoch}
        )
        assert broken == await live.error()
        assert [] == live.revisions
        assert broken == await server.stream((epoch, 0)).error()
        assert server.follower.broadcast.gaps_found


async def test_draining_ends_all_streams_and_refuses_new_ones(alert_database: Database) -> None:
    async with watching(alert_database) as server:
        streams = [await server.from_now() for _ in range(3)]
        assert 3 == server.watch.subscribers
        server.watch.drain()
        draining = Told(grpc.StatusCode.UNAVAILABLE, "DRAINING", {})
        assert [draining] * 3 == [await stream.error() for stream in streams]
        assert draining == await server.stream().error()
        assert 0 == server.watch.subscribers


async def test_a_subscriber_that_leaves_is_counted_no_more(alert_database: Database) -> None:
    async with watching(alert_database) as server:
        stream = await server.from_now()
        stream.call.cancel()
        await eventually(lambda: server.watch.subscribers == 0)


async def test_before_the_log_is_followed_streams_are_told_to_try_again(
    alert_database: Database,
) -> None:
    async with watching(alert_database) as server:
        await server.follower.tail.stop()
        await identity.renew(alert_database, uuid7)
        refused = await server.stream().error()
        assert grpc.StatusCode.UNAVAILABLE == refused.code


async def test_a_reader_that_reconnects_at_random_sees_everything_once_while_many_write(
    alert_database: Database,
) -> None:
    chance = random.Random(SEED)
    total = 600
    limits = WatchLimits(entries=20, bookmark_every=timedelta(milliseconds=5))
    async with watching(alert_database, limits=limits, max_entries=50) as server:
        seen: list[int] = []
        after = await server.position()
        writing = asyncio.gather(*(_write_some(alert_database, total // 4) for _ in range(4)))
        while len(seen) < total:
            stream = server.stream(after)
            for _ in range(chance.randint(1, 5)):
                position = (await stream.read()).position
            stream.call.cancel()
            seen += stream.revisions
            after = (position.epoch, position.revision)
        await writing
    assert list(range(1, total + 1)) == seen


async def _write_some(database: Database, count: int) -> None:
    for _ in range(count):
        await write(database)
