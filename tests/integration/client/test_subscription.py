from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Unpack

import grpc
import grpc.aio
import pytest

from support.alert_stubs import (
    EPOCH,
    OTHER_EPOCH,
    acknowledged,
    alert_id,
    an_alert,
    resolved,
)
from support.clock import START, ManualClock
from support.scripted_log import Manners, ScriptedLog, serving
from support.waiting import eventually
from tocsin.api.alert.v1 import alert_service_pb2 as pb
from tocsin.api.alert.v1.alert_pb2 import SEVERITY_CRITICAL
from tocsin.api.alert.v1.event_pb2 import (
    ALERT_EVENT_TYPE_ACKNOWLEDGED,
    ALERT_EVENT_TYPE_SEVERITY_CHANGED,
    AlertEventType,
    Position,
)
from tocsin.client import AlertClient, EventSubscription, RetryPolicy, errors
from tocsin.common import errors as common

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tocsin.client import StreamBatch
    from tocsin.client.options import SubscriptionOptions

IMPATIENT = RetryPolicy(
    first_wait=timedelta(milliseconds=1), longest_wait=timedelta(milliseconds=10)
)


@pytest.fixture
async def log() -> ScriptedLog:
    return ScriptedLog()


@pytest.fixture
async def client(log: ScriptedLog) -> AsyncIterator[AlertClient]:
    async with serving(log) as port, AlertClient(f"127.0.0.1:{port}") as client:
        yield client


@asynccontextmanager
async def subscribed(
    client: AlertClient, **options: Unpack[SubscriptionOptions]
) -> AsyncIterator[EventSubscription]:
    given: SubscriptionOptions = {"retry": IMPATIENT, "clock": ManualClock(), **options}
    async with asyncio.timeout(20), client.subscribe(**given) as subscription:
        yield subscription


async def revisions_up_to(subscription: EventSubscription, head: int) -> list[int]:
    """Read on until the position is there, and return the revisions of all events."""
    found: list[int] = []
    async for batch in subscription:
        found += [each.event.position.revision for each in batch.events]
        if batch.position.revision >= head:
            return found
    raise AssertionError("the subscription ended")


async def next_with_events(subscription: EventSubscription) -> StreamBatch:
    async for batch in subscription:
        if batch.events:
            return batch
    raise AssertionError("the subscription ended")


def names(batch: StreamBatch) -> list[tuple[str, str]]:
    return [
        (
            AlertEventType.Name(each.event.type).removeprefix("ALERT_EVENT_TYPE_"),
            each.event.alert.alert_id,
        )
        for each in batch.events
    ]


def beginning() -> Position:
    return Position(epoch=EPOCH, revision=0)


# Where it begins


async def test_a_fresh_subscription_begins_now(log: ScriptedLog, client: AlertClient) -> None:
    log.append(an_alert(1))
    async with subscribed(client) as subscription:
        first = await anext(subscription)
        assert first.events == ()
        assert first.caught_up
        assert first.position == Position(epoch=EPOCH, revision=1)

        log.append(an_alert(2))
        assert await revisions_up_to(subscription, 2) == [2]


async def test_a_fresh_subscription_may_begin_with_the_oldest_event_kept(
    log: ScriptedLog, client: AlertClient
) -> None:
    for number in range(1, 8):
        log.append(an_alert(number))
    log.compact(3)
    async with subscribed(client, on_first="oldest") as subscription:
        assert await revisions_up_to(subscription, 7) == [4, 5, 6, 7]


async def test_a_subscription_resumes_after_a_position(
    log: ScriptedLog, client: AlertClient
) -> None:
    for number in range(1, 8):
        log.append(an_alert(number))
    after = Position(epoch=EPOCH, revision=4)
    async with subscribed(client, after=after) as subscription:
        assert await revisions_up_to(subscription, 7) == [5, 6, 7]


async def test_a_fresh_subscription_may_learn_the_open_alerts_without_being_told_of_them(
    log: ScriptedLog, client: AlertClient
) -> None:
    for number in range(1, 6):
        log.append(an_alert(number))
    log.append(resolved(3))
    async with subscribed(client, on_first="snapshot_known") as subscription:
        first = await anext(subscription)
        assert first.events == ()
        assert first.snapshot == tuple(an_alert(number) for number in (1, 2, 4, 5))
        assert first.position.revision == 6
        assert set(subscription.known) == {alert_id(number) for number in (1, 2, 4, 5)}

        log.append(an_alert(6))
        assert await revisions_up_to(subscription, 7) == [7]


async def test_what_was_learned_without_being_told_is_compared_with_when_the_log_is_gone(
    log: ScriptedLog, client: AlertClient
) -> None:
    log.append(an_alert(1))
    log.append(an_alert(2))
    async with subscribed(client, on_first="snapshot_known") as subscription:
        await anext(subscription)
        log.restore(OTHER_EPOCH, 0, an_alert(2), an_alert(3))
        batch = await next_with_events(subscription)

    assert names(batch) == [("RESOLVED", alert_id(1)), ("RAISED", alert_id(3))]
    assert batch.snapshot == ()


async def test_a_fresh_subscription_may_be_told_of_the_open_alerts(
    log: ScriptedLog, client: AlertClient
) -> None:
    log.append(an_alert(1))
    log.append(acknowledged(2))
    log.append(resolved(3))
    async with subscribed(client, on_first="snapshot_raised") as subscription:
        first = await anext(subscription)

    assert names(first) == [
        ("RAISED", alert_id(1)),
        ("RAISED", alert_id(2)),
        ("ACKNOWLEDGED", alert_id(2)),
    ]
    assert all(each.synthetic for each in first.events)
    assert all(each.event.position == first.position for each in first.events)
    assert first.position == Position(epoch=EPOCH, revision=3)
    assert first.snapshot == ()


async def test_an_unknown_way_to_begin_is_refused(client: AlertClient) -> None:
    with pytest.raises(ValueError, match="on_first: 'snapshot' is none of now, oldest,"):
        client.subscribe(on_first="snapshot")  # type: ignore[arg-type]  # the point


# Interruptions


@pytest.mark.parametrize(
    "error",
    [
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.CANCELLED,
        None,
        common.UnavailableError("Bye.", reason="DRAINING", retry_after=timedelta()),
        common.ResourceExhaustedError("Slow.", reason="SLOW_SUBSCRIBER"),
        common.DataLossError("A gap.", reason="LOG_BROKEN"),
    ],
    ids=str,
)
async def test_a_stream_that_ends_is_resumed_after_the_last_event(
    log: ScriptedLog, client: AlertClient, error: common.TocsinError | grpc.StatusCode | None
) -> None:
    log.manners += [Manners(messages=1, error=error) for _ in range(3)]
    for number in range(1, 11):
        log.append(an_alert(number))
    async with subscribed(client, after=beginning()) as subscription:
        assert await revisions_up_to(subscription, 10) == list(range(1, 11))
        assert [each.after.revision for each in log.watches] == [0, 3, 6, 9]
        assert subscription.counts.connections == 4


async def test_a_stream_that_breaks_again_and_again_is_resumed_for_ever(
    log: ScriptedLog, client: AlertClient
) -> None:
    log.manners += [Manners(messages=0) for _ in range(30)]
    log.append(an_alert(1))
    async with subscribed(client, after=beginning()) as subscription:
        assert await revisions_up_to(subscription, 1) == [1]


async def test_a_server_that_is_away_is_waited_for(log: ScriptedLog) -> None:
    log.append(an_alert(1))
    async with serving(log) as port:
        pass
    async with (
        AlertClient(f"127.0.0.1:{port}") as client,
        subscribed(client, after=beginning()) as subscription,
    ):
        reading = asyncio.create_task(revisions_up_to(subscription, 1))
        async with serving(log, port):
            assert await reading == [1]


async def test_a_stream_that_falls_silent_is_opened_again(
    log: ScriptedLog, client: AlertClient
) -> None:
    log.manners += [Manners(messages=1, stall=True), Manners(messages=0, stall=True)]
    for number in range(1, 7):
        log.append(an_alert(number))
    silence = timedelta(seconds=1)
    async with subscribed(client, after=beginning(), silence=silence) as subscription:
        assert await revisions_up_to(subscription, 6) == list(range(1, 7))
        assert subscription.counts.connections == 3


async def test_what_had_arrived_before_a_stream_broke_is_handed_out_first(
    log: ScriptedLog, client: AlertClient
) -> None:
    log.manners.append(Manners(messages=3))
    for number in range(1, 10):
        log.append(an_alert(number))
    async with subscribed(client, after=beginning()) as subscription:
        first = await anext(subscription)
        await log.until_streams(0)
        second = await anext(subscription)
        third = await anext(subscription)

        assert [each.position.revision for each in (first, second, third)] == [3, 6, 9]
        assert subscription.counts.connections == 1


async def test_a_reader_that_is_cancelled_loses_nothing(
    log: ScriptedLog, client: AlertClient
) -> None:
    async with subscribed(client, after=beginning()) as subscription:
        await anext(subscription)
        waiting = asyncio.ensure_future(anext(subscription))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        log.append(an_alert(1))
        assert await revisions_up_to(subscription, 1) == [1]
        assert subscription.counts.connections == 1


# What does not follow


def without_first_event(message: pb.WatchEventsResponse) -> pb.WatchEventsResponse:
    changed = pb.WatchEventsResponse()
    changed.CopyFrom(message)
    del changed.events[:1]
    return changed


def twice(message: pb.WatchEventsResponse) -> pb.WatchEventsResponse:
    changed = pb.WatchEventsResponse()
    changed.CopyFrom(message)
    changed.events.extend(message.events)
    return changed


def not_second_message() -> Any:
    seen = []

    def edit(message: pb.WatchEventsResponse) -> pb.WatchEventsResponse | None:
        seen.append(message)
        return None if len(seen) == 2 else message

    return edit


@pytest.mark.parametrize("edit", [without_first_event, twice, not_second_message()])
async def test_what_is_missing_or_comes_twice_is_not_handed_out_but_read_again(
    log: ScriptedLog, client: AlertClient, edit: Any
) -> None:
    log.manners.append(Manners(edit=edit))
    for number in range(1, 11):
        log.append(an_alert(number))
    async with subscribed(client, after=beginning()) as subscription:
        assert await revisions_up_to(subscription, 10) == list(range(1, 11))
        assert subscription.counts.out_of_step == 1
        assert subscription.counts.connections == 2


async def test_a_gap_that_stays_is_raised_and_raised_again(
    log: ScriptedLog, client: AlertClient
) -> None:
    log.manners += [Manners(edit=without_first_event) for _ in range(5)]
    for number in range(1, 4):
        log.append(an_alert(number))
    async with subscribed(client, after=beginning()) as subscription:
        with pytest.raises(errors.DataLossError, match=r"sent revision 2 .* after revision 0"):
            await anext(subscription)
        with pytest.raises(errors.DataLossError):
            await anext(subscription)
        assert subscription.counts.connections == 5


async def test_a_gap_that_stays_is_raised_although_bookmarks_come_between(
    log: ScriptedLog, client: AlertClient
) -> None:
    def bookmark_and_gap(message: pb.WatchEventsResponse) -> pb.WatchEventsResponse:
        if message.position.revision > 3:
            return message
        return pb.WatchEventsResponse(position=beginning())

    log.manners += [Manners(edit=bookmark_and_gap) for _ in range(6)]
    for number in range(1, 7):
        log.append(an_alert(number))
    async with subscribed(client, after=beginning()) as subscription:
        with pytest.raises(errors.DataLossError):
            await revisions_up_to(subscription, 6)
        assert subscription.counts.connections == 5


@pytest.mark.parametrize(
    ("code", "raised"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, errors.InvalidArgumentError),
        (grpc.StatusCode.UNIMPLEMENTED, errors.UnimplementedError),
        (grpc.StatusCode.PERMISSION_DENIED, errors.PermissionDeniedError),
        (grpc.StatusCode.UNAUTHENTICATED, errors.UnauthenticatedError),
    ],
)
async def test_what_no_repetition_heals_is_raised(
    log: ScriptedLog,
    client: AlertClient,
    code: grpc.StatusCode,
    raised: type[errors.CallError],
) -> None:
    log.manners.append(Manners(messages=0, error=code))
    async with subscribed(client) as subscription:
        with pytest.raises(raised):
            await anext(subscription)


# Void positions


async def test_after_compaction_the_difference_to_what_was_known_is_told(
    log: ScriptedLog, client: AlertClient
) -> None:
    for number in (1, 2, 3):
        log.append(an_alert(number))
    async with subscribed(client, after=beginning()) as subscription:
        assert await revisions_up_to(subscription, 3) == [1, 2, 3]
        last, known = subscription.position, list(subscription.known.values())

    log.append(resolved(1))
    log.append(an_alert(2, severity=SEVERITY_CRITICAL, version=2))
    log.append(acknowledged(4))
    log.append(resolved(5))
    log.compact()
    async with subscribed(client, after=last, known=known) as subscription:
        batch = await anext(subscription)
        assert names(batch) == [
            ("RESOLVED", alert_id(1)),
            ("SEVERITY_CHANGED", alert_id(2)),
            ("RAISED", alert_id(4)),
            ("ACKNOWLEDGED", alert_id(4)),
        ]
        assert all(each.synthetic for each in batch.events)
        assert batch.events[0].event.alert == resolved(1)
        assert batch.position == Position(epoch=EPOCH, revision=7)
        assert log.lookups == [alert_id(1)]

        log.append(resolved(3))
        live = await next_with_events(subscription)
        assert names(live) == [("RESOLVED", alert_id(3))]
        assert not live.events[0].synthetic
        assert set(subscription.known) == {alert_id(2), alert_id(4)}
        assert subscription.counts.snapshots == 1
        assert subscription.counts.synthetic_events == 4


async def test_after_a_restore_what_the_service_forgot_is_told_as_over(
    log: ScriptedLog, client: AlertClient
) -> None:
    log.append(an_alert(1))
    async with subscribed(client, after=beginning()) as subscription:
        await revisions_up_to(subscription, 1)
        log.append(an_alert(2, severity=SEVERITY_CRITICAL, version=8))
        await revisions_up_to(subscription, 2)

        log.restore(OTHER_EPOCH, 0, an_alert(2, version=1))
        batch = await next_with_events(subscription)

        assert names(batch) == [("RESOLVED", alert_id(1)), ("SEVERITY_CHANGED", alert_id(2))]
        assert "no longer knows this alert" in batch.events[0].event.note
        assert batch.events[0].event.alert.resolve_time.ToDatetime(START.tzinfo) == START
        assert batch.position == Position(epoch=OTHER_EPOCH, revision=0)

        log.append(an_alert(3))
        assert await revisions_up_to(subscription, 1) == [1]


async def test_a_log_that_went_back_is_compared_with_what_was_known(
    log: ScriptedLog, client: AlertClient
) -> None:
    for number in range(1, 4):
        log.append(an_alert(number))
    ahead = Position(epoch=EPOCH, revision=50)
    async with subscribed(client, after=ahead, known=[an_alert(9)]) as subscription:
        batch = await anext(subscription)

    assert names(batch) == [
        ("RESOLVED", alert_id(9)),
        ("RAISED", alert_id(1)),
        ("RAISED", alert_id(2)),
        ("RAISED", alert_id(3)),
    ]
    assert batch.position.revision == 3


async def test_a_comparison_that_was_not_stored_is_made_again_with_the_same_ids(
    log: ScriptedLog, client: AlertClient
) -> None:
    for number in range(1, 8):
        log.append(an_alert(number))
    log.append(acknowledged(2))
    log.compact()
    known = [an_alert(2), an_alert(9)]
    heard = []
    for _ in range(2):
        async with subscribed(client, after=beginning(), known=known) as subscription:
            heard.append(await anext(subscription))
        log.append(an_alert(3), ALERT_EVENT_TYPE_ACKNOWLEDGED)  # the position moves on
        log.compact()

    assert len(heard[0].events) == 8
    assert [each.event.event_id for each in heard[0].events] == [
        each.event.event_id for each in heard[1].events
    ]


async def test_a_snapshot_that_breaks_off_is_taken_again(
    log: ScriptedLog, client: AlertClient
) -> None:
    for number in range(1, 9):
        log.append(an_alert(number))
    log.compact()
    log.manners += [Manners(), Manners(messages=1), Manners(messages=2)]
    async with subscribed(client, after=beginning()) as subscription:
        batch = await anext(subscription)

    assert len(batch.events) == 8
    assert [each.snapshot for each in log.watches] == [False, True, True, True]


async def test_pages_of_two_snapshots_are_not_taken_for_one(
    log: ScriptedLog, client: AlertClient
) -> None:
    def shift(message: pb.WatchEventsResponse) -> pb.WatchEventsResponse:
        changed = pb.WatchEventsResponse()
        changed.CopyFrom(message)
        changed.position.revision += message.snapshot_complete
        return changed

    for number in range(1, 9):
        log.append(an_alert(number))
    log.manners.append(Manners(edit=shift))
    async with subscribed(client, on_first="snapshot_raised") as subscription:
        batch = await anext(subscription)
        assert len(batch.events) == 8
        assert subscription.counts.out_of_step == 1


async def test_a_lookup_that_fails_begins_the_comparison_anew(
    log: ScriptedLog, client: AlertClient
) -> None:
    log.append(an_alert(1))
    log.append(resolved(1))
    log.compact()
    log.lookup_errors.append(common.TocsinError("A bug.", reason="INTERNAL"))
    known = [an_alert(1)]
    async with subscribed(client, after=beginning(), known=known) as subscription:
        batch = await anext(subscription)

    assert names(batch) == [("RESOLVED", alert_id(1))]
    assert [each.snapshot for each in log.watches] == [False, True, True]


async def test_a_comparison_that_is_cancelled_is_made_again(
    log: ScriptedLog, client: AlertClient
) -> None:
    log.manners.append(Manners(messages=1, stall=True))
    for number in range(1, 9):
        log.append(an_alert(number))
    async with subscribed(client, on_first="snapshot_raised") as subscription:
        waiting = asyncio.ensure_future(anext(subscription))
        await log.until_streams(1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

        assert len((await anext(subscription)).events) == 8


async def test_many_alerts_that_are_gone_are_all_looked_up(
    log: ScriptedLog, client: AlertClient
) -> None:
    known = [an_alert(number) for number in range(1, 101)]
    log.restore(OTHER_EPOCH, 0)
    async with subscribed(client, after=beginning(), known=known) as subscription:
        batch = await anext(subscription)

    assert len(batch.events) == 100
    assert len(log.lookups) == 100


# Filters


async def test_filters_narrow_the_stream_and_the_position_still_advances(
    log: ScriptedLog, client: AlertClient
) -> None:
    for number in range(1, 13):
        log.append(an_alert(number, host_id=f"web-{number % 4}"))
    async with subscribed(client, after=beginning(), host_ids=["web-1"]) as subscription:
        assert await revisions_up_to(subscription, 12) == [1, 5, 9]
        assert subscription.position == Position(epoch=EPOCH, revision=12)


async def test_a_filter_by_type_is_applied_to_what_is_handed_out_only(
    log: ScriptedLog, client: AlertClient
) -> None:
    log.append(an_alert(1))
    log.append(an_alert(1, severity=SEVERITY_CRITICAL), ALERT_EVENT_TYPE_SEVERITY_CHANGED)
    log.append(an_alert(2))
    log.append(resolved(2))
    options: SubscriptionOptions = {"after": beginning(), "types": ["resolved"]}
    async with subscribed(client, **options) as subscription:
        assert await revisions_up_to(subscription, 4) == [4]
        assert set(subscription.known) == {alert_id(1)}
        assert list(log.watches[0].types) == []

        log.compact()
        log.append(resolved(1))
        log.compact()
    known = [an_alert(1)]
    options = {"after": beginning(), "known": known, "types": ["resolved"]}
    async with subscribed(client, **options) as subscription:
        assert names(await anext(subscription)) == [("RESOLVED", alert_id(1))]


# State, and the end


async def test_the_state_is_told_when_it_changes(log: ScriptedLog, client: AlertClient) -> None:
    states: list[bool] = []
    log.manners.append(Manners(messages=2))
    for number in range(1, 10):
        log.append(an_alert(number))
    options: SubscriptionOptions = {"after": beginning(), "on_state": states.append}
    async with subscribed(client, **options) as subscription:
        assert states == []
        await anext(subscription)
        assert states == [True]
        await revisions_up_to(subscription, 9)
        assert states == [True, False, True]
    assert states == [True, False, True, False]


async def test_interruptions_are_logged_with_fields(
    log: ScriptedLog, client: AlertClient, caplog: pytest.LogCaptureFixture
) -> None:
    log.append(an_alert(1))
    log.compact()
    log.manners.extend([Manners(), Manners(error=common.UnavailableError("Draining."), messages=0)])
    async with subscribed(client, after=beginning()) as subscription:
        await anext(subscription)

    void, lost = (record.__dict__ for record in caplog.records)
    assert ("UNAVAILABLE", "Draining.") == (lost["code"], lost["error"])
    assert lost["retry_in_s"] >= 0
    assert ("OUT_OF_RANGE", "REVISION_COMPACTED") == (void["code"], void["reason"])


async def test_closing_ends_the_iteration_and_the_stream_without_a_word(
    log: ScriptedLog, client: AlertClient, caplog: pytest.LogCaptureFixture
) -> None:
    async with subscribed(client) as subscription:
        await anext(subscription)
        reading = asyncio.create_task(_read_all(subscription))
        await asyncio.sleep(0)
        await subscription.close()
        assert await reading == []
        assert [each async for each in subscription] == []
        await log.until_streams(0)
    assert _own_tasks() == []
    assert caplog.messages == []


async def test_closing_ends_a_wait_for_a_server_that_is_away() -> None:
    async with AlertClient("127.0.0.1:1") as client:
        patient = RetryPolicy(first_wait=timedelta(hours=1), longest_wait=timedelta(hours=1))
        async with subscribed(client, retry=patient) as subscription:
            reading = asyncio.create_task(_read_all(subscription))
            await eventually(lambda: subscription.counts.connections)
            await subscription.close()
            assert await reading == []


async def test_a_subscriber_that_is_cancelled_leaves_no_task_behind(
    log: ScriptedLog, client: AlertClient
) -> None:
    started = asyncio.Event()

    async def subscriber() -> None:
        async with client.subscribe() as subscription:
            async for _ in subscription:
                started.set()

    task = asyncio.create_task(subscriber())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert _own_tasks() == []


async def test_a_channel_that_is_closed_under_a_subscription_is_told(
    log: ScriptedLog, client: AlertClient
) -> None:
    async with subscribed(client) as subscription:
        await anext(subscription)
        await client.close()
        with pytest.raises(grpc.aio.UsageError):
            await anext(subscription)


async def _read_all(subscription: EventSubscription) -> list[StreamBatch]:
    return [batch async for batch in subscription]


def _own_tasks() -> list[str]:
    return [
        task.get_name() for task in asyncio.all_tasks() if task.get_name() == "tocsin-event-stream"
    ]
