"""SilenceService through a real server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import grpc
import pytest

from support.alert_stubs import alert_id, an_alert, an_event, resolved
from support.refusals import assert_told, refusal_of
from support.steering_rpc import serving_steering
from support.waiting import eventually
from tocsin.api.alert.v1.alert_pb2 import SEVERITY_CRITICAL
from tocsin.api.alert.v1.event_pb2 import ALERT_EVENT_TYPE_RESOLVED
from tocsin.api.notify.v1.matcher_pb2 import (
    MATCH_FIELD_EVENT_TYPE,
    MATCH_FIELD_HOST_ID,
    MATCH_OPERATOR_LIKE,
    MATCH_OPERATOR_NONE_OF,
    Matcher,
)
from tocsin.api.notify.v1.recurrence_pb2 import Recurrence
from tocsin.api.notify.v1.silence_pb2 import (
    SILENCE_STATE_ACTIVE,
    SILENCE_STATE_BETWEEN,
    SILENCE_STATE_EXPIRED,
    SILENCE_STATE_PENDING,
    Silence,
)
from tocsin.api.notify.v1.silence_service_pb2 import (
    CreateSilenceRequest,
    CreateSilenceResponse,
    ExpireSilenceRequest,
    GetSilenceRequest,
    ListSilencesRequest,
)
from tocsin.notify.domain.delivery import DeliveryState
from tocsin.notify.store.silences import read_current

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from support.clock import ManualClock
    from support.steering_rpc import SteeringRpc
    from tocsin.common.postgres.engine import Database

pytestmark = pytest.mark.postgres

HOUR = timedelta(hours=1)


@pytest.fixture
async def rpc(notify_database: Database, clock: ManualClock) -> AsyncIterator[SteeringRpc]:
    async with serving_steering(notify_database, clock) as running:
        yield running


def on(*hosts: str) -> Matcher:
    return Matcher(field=MATCH_FIELD_HOST_ID, operator=MATCH_OPERATOR_LIKE, values=hosts)


def a_silence(
    *hosts: str,
    start: datetime | None = None,
    end: datetime | None = None,
    lasts: timedelta | None = None,
    **fields: Any,
) -> Silence:
    silence = Silence(matchers=[on(*hosts)] if hosts else [], **{"reason": "moving", **fields})
    if start is not None:
        silence.start_time.FromDatetime(start)
    if end is not None:
        silence.end_time.FromDatetime(end)
    if lasts is not None:
        silence.duration.FromTimedelta(lasts)
    return silence


async def created(rpc: SteeringRpc, silence: Silence, **fields: Any) -> CreateSilenceResponse:
    return await rpc.silences.CreateSilence(CreateSilenceRequest(silence=silence, **fields))


async def got(rpc: SteeringRpc, silence_id: str) -> Silence:
    return (await rpc.silences.GetSilence(GetSilenceRequest(silence_id=silence_id))).silence


async def count(rpc: SteeringRpc) -> int:
    return len(await rpc.ground.rows("SELECT 1 FROM silences"))


async def raised_on(rpc: SteeringRpc, *hosts: str, **fields: Any) -> None:
    for number, host in enumerate(hosts, start=1):
        alert = an_alert(number, host_id=host, host_name=host.upper(), **fields)
        await rpc.ground.take_in(an_event(rpc.ground.next(), alert))


async def test_a_silence_reads_as_it_was_written(rpc: SteeringRpc, clock: ManualClock) -> None:
    end = clock.now() + 2 * HOUR
    answer = await created(rpc, a_silence("web-*", end=end, author="ann"))
    silence = answer.silence
    read = await got(rpc, silence.silence_id)

    assert silence == read
    assert ("ann", "moving", "anonymous") == (read.author, read.reason, read.created_by)
    assert [on("web-*")] == list(read.matchers)
    assert clock.now() == read.start_time.ToDatetime(UTC) == read.create_time.ToDatetime(UTC)
    assert end == read.end_time.ToDatetime(UTC) == read.active_until_time.ToDatetime(UTC)
    assert SILENCE_STATE_ACTIVE == read.state


async def test_a_silence_goes_through_its_states(rpc: SteeringRpc, clock: ManualClock) -> None:
    start = clock.now() + HOUR
    wanted = a_silence("web-*", start=start, end=start + HOUR)
    silence_id = (await created(rpc, wanted)).silence.silence_id

    states = []
    for _ in range(3):
        states.append((await got(rpc, silence_id)).state)
        clock.advance(HOUR)
    assert [SILENCE_STATE_PENDING, SILENCE_STATE_ACTIVE, SILENCE_STATE_EXPIRED] == states


async def test_a_window_comes_again_and_says_when(rpc: SteeringRpc, clock: ManualClock) -> None:
    sunday = Recurrence(cron="0 2 * * sun", time_zone="UTC")
    silence_id = (
        await created(rpc, a_silence("web-*", recurrence=sunday, lasts=3 * HOUR))
    ).silence.silence_id
    between = await got(rpc, silence_id)
    assert SILENCE_STATE_BETWEEN == between.state
    assert datetime(2026, 1, 4, 2, tzinfo=UTC) == between.next_start_time.ToDatetime(UTC)
    assert not between.HasField("active_until_time")

    clock.set(datetime(2026, 1, 11, 3, tzinfo=UTC))
    active = await got(rpc, silence_id)
    assert SILENCE_STATE_ACTIVE == active.state
    assert datetime(2026, 1, 11, 5, tzinfo=UTC) == active.active_until_time.ToDatetime(UTC)
    assert not active.HasField("next_start_time")
    assert not active.HasField("end_time")


async def test_creating_one_answers_with_what_it_covers_now(
    rpc: SteeringRpc, clock: ManualClock
) -> None:
    await raised_on(rpc, "web-1", "web-2", "db-1")
    await rpc.ground.take_in(an_event(9, resolved(2, host_id="web-2"), ALERT_EVENT_TYPE_RESOLVED))
    end = clock.now() + HOUR
    answer = await created(rpc, a_silence("web-*", end=end))

    assert (1, 1, 0) == (
        answer.coverage.alert_count,
        answer.coverage.host_count,
        answer.coverage.critical_count,
    )
    (example,) = answer.coverage.examples
    assert (alert_id(1), "web-1", "WEB-1", "backup_failed", "group-1", "warning") == (
        example.alert_id,
        example.host_id,
        example.host_name,
        example.kind,
        example.dedup_key,
        example.severity,
    )
    assert not answer.needs_force


async def test_one_over_many_hosts_needs_force(rpc: SteeringRpc, clock: ManualClock) -> None:
    await raised_on(rpc, "web-1", "web-2", "web-3")
    wanted = a_silence("web-*", end=clock.now() + HOUR)
    refusal = await refusal_of(rpc.silences.CreateSilence(CreateSilenceRequest(silence=wanted)))
    assert grpc.StatusCode.FAILED_PRECONDITION == refusal.code
    assert "SILENCE_TOO_BROAD" == refusal.reason
    assert "3 hosts, more than 2" in refusal.message
    assert 0 == await count(rpc)

    answer = await created(rpc, wanted, force=True)
    assert answer.needs_force
    assert SILENCE_STATE_ACTIVE == answer.silence.state


async def test_one_over_a_critical_alert_needs_force_even_if_it_begins_later(
    rpc: SteeringRpc, clock: ManualClock
) -> None:
    await raised_on(rpc, "web-1", severity=SEVERITY_CRITICAL)
    wanted = a_silence("*", start=clock.now() + HOUR, end=clock.now() + 2 * HOUR)
    refusal = await refusal_of(rpc.silences.CreateSilence(CreateSilenceRequest(silence=wanted)))
    assert "SILENCE_TOO_BROAD" == refusal.reason
    assert "1 CRITICAL alert" in refusal.message


async def test_a_dry_run_tells_all_and_keeps_nothing(rpc: SteeringRpc, clock: ManualClock) -> None:
    await raised_on(rpc, "web-1", "web-2", "web-3")
    answer = await created(rpc, a_silence("web-*", end=clock.now() + HOUR), dry_run=True)
    assert (3, True, "") == (
        answer.coverage.host_count,
        answer.needs_force,
        answer.silence.silence_id,
    )
    assert 0 == await count(rpc)


async def test_a_repeated_request_returns_what_the_first_one_made(
    rpc: SteeringRpc, clock: ManualClock
) -> None:
    wanted = a_silence("web-*", end=clock.now() + 100 * HOUR)
    first = await created(rpc, wanted, request_id="r")
    clock.advance(23 * HOUR)
    await raised_on(rpc, "web-1", "web-2", "web-3")
    again = await created(rpc, wanted, request_id="r")
    assert first.silence.silence_id == again.silence.silence_id
    assert 1 == await count(rpc)

    other = a_silence("db-*", end=clock.now() + 100 * HOUR)
    request = CreateSilenceRequest(silence=other, request_id="r")
    refusal = await refusal_of(rpc.silences.CreateSilence(request))
    assert_told({"request_id": "was used for another silence"}, refusal)

    clock.advance(HOUR)
    await created(rpc, other, request_id="r")
    assert 2 == await count(rpc)


async def test_ending_one_wakes_what_it_holds_and_does_so_once(
    rpc: SteeringRpc, clock: ManualClock
) -> None:
    channel_id = await rpc.ground.channel()
    await raised_on(rpc, "web-1", "web-2")
    end = clock.now() + 5 * HOUR
    silence_id = (await created(rpc, a_silence("web-*", end=end))).silence.silence_id
    # 6 is HELD, 12 SILENCED.
    await rpc.ground.rows(
        "UPDATE deliveries SET state = 6, reason = 12, held_by = $1, next_attempt_time = $2"
        " WHERE sequence = (SELECT min(sequence) FROM deliveries)",
        silence_id,
        end,
    )
    before = [delivery.next_attempt_time for delivery in await rpc.ground.of(channel_id)]
    clock.advance(HOUR)
    rpc.changes.clear()

    answer = await rpc.silences.ExpireSilence(ExpireSilenceRequest(silence_id=silence_id))
    again = await rpc.silences.ExpireSilence(ExpireSilenceRequest(silence_id=silence_id))

    assert (True, False) == (answer.changed, again.changed)
    assert (SILENCE_STATE_EXPIRED, "anonymous") == (again.silence.state, again.silence.expired_by)
    after = [delivery.next_attempt_time for delivery in await rpc.ground.of(channel_id)]
    assert [end, before[1]] == before
    assert [clock.now(), before[1]] == after
    assert 1 == len(rpc.changes)


async def test_one_that_has_ended_by_itself_covers_nothing_and_cannot_be_ended(
    rpc: SteeringRpc, clock: ManualClock
) -> None:
    await raised_on(rpc, "web-1")
    wanted = a_silence("web-*", end=clock.now() + HOUR)
    silence_id = (await created(rpc, wanted)).silence.silence_id
    clock.advance(HOUR)
    read = await rpc.silences.GetSilence(GetSilenceRequest(silence_id=silence_id))
    answer = await rpc.silences.ExpireSilence(ExpireSilenceRequest(silence_id=silence_id))
    assert (0, False) == (read.coverage.alert_count, answer.changed)
    assert not answer.silence.HasField("expire_time")


async def test_silences_are_listed_page_by_page_the_latest_first(
    rpc: SteeringRpc, clock: ManualClock
) -> None:
    for number in range(5):
        end = clock.now() + (number % 2 + 1) * HOUR
        await created(rpc, a_silence("web-*", end=end, reason=f"reason {number}"))
    clock.advance(HOUR)

    async def reasons(*, include_expired: bool) -> list[list[str]]:
        pages, token = [], ""
        while True:
            page = await rpc.silences.ListSilences(
                ListSilencesRequest(include_expired=include_expired, page_size=2, page_token=token)
            )
            pages.append([silence.reason[-1] for silence in page.silences])
            token = page.next_page_token
            if not token:
                return pages

    assert [["4", "3"], ["2", "1"], ["0"]] == await reasons(include_expired=True)
    assert [["3", "1"]] == await reasons(include_expired=False)


async def test_a_silence_without_an_end_is_refused(rpc: SteeringRpc) -> None:
    request = CreateSilenceRequest(silence=a_silence("web-*"))
    refusal = await refusal_of(rpc.silences.CreateSilence(request))
    assert_told({"silence.end_time": "must be set: a silence has an end"}, refusal)


START = datetime(2026, 1, 1, tzinfo=UTC)
DAILY = Recurrence(cron="0 2 * * *", time_zone="UTC")


@pytest.mark.parametrize(
    ("silence", "expected"),
    [
        (
            a_silence(end=START + HOUR, reason=""),
            {
                "silence.matchers": "has 0 matchers; write 1 to 50",
                "silence.reason": "must not be empty",
            },
        ),
        (a_silence("x", end=START), {"silence.end_time": "is past"}),
        (
            a_silence("x", start=START + 2 * HOUR, end=START + HOUR),
            {"silence.end_time": "is not after start_time"},
        ),
        (
            a_silence("x", end=START + timedelta(days=367)),
            {"silence.end_time": "is more than 366 days after start_time"},
        ),
        (
            a_silence("x", end=START + HOUR, lasts=HOUR),
            {"silence.duration": "is only for a window"},
        ),
        (a_silence("x", recurrence=DAILY), {"silence.duration": "is 0 s; write 1 minute"}),
        (
            a_silence("x", recurrence=DAILY, lasts=24 * HOUR),
            {"silence.duration": "it would never end"},
        ),
        (
            a_silence("x", recurrence=Recurrence(on_calendar="daily"), lasts=HOUR),
            {"silence.recurrence.time_zone": "write a zone such as Europe/Berlin"},
        ),
        (
            a_silence("x", recurrence=Recurrence(cron="daily", time_zone="Berlin"), lasts=HOUR),
            {
                "silence.recurrence.cron": "has 1 field; write five",
                "silence.recurrence.time_zone": "did you mean Europe/Berlin?",
            },
        ),
        (
            Silence(
                matchers=[
                    Matcher(field=MATCH_FIELD_EVENT_TYPE, values=["raised"]),
                    Matcher(
                        field=MATCH_FIELD_HOST_ID, operator=MATCH_OPERATOR_NONE_OF, values=["a"]
                    ),
                ],
                reason="x",
                recurrence=DAILY,
                duration={"seconds": 60},  # type: ignore[arg-type]  # protobuf takes a dict
            ),
            {"silence.matchers[0].field": "is for the matchers of routes alone"},
        ),
    ],
)
async def test_what_is_wrong_with_a_silence_is_told_at_once(
    rpc: SteeringRpc, silence: Silence, expected: dict[str, str]
) -> None:
    request = CreateSilenceRequest(silence=silence)
    assert_told(expected, await refusal_of(rpc.silences.CreateSilence(request)))
    assert 0 == await count(rpc)


async def test_one_that_does_not_exist_is_not_found(rpc: SteeringRpc) -> None:
    nobody = str(uuid4())
    for call in (
        rpc.silences.GetSilence(GetSilenceRequest(silence_id=nobody)),
        rpc.silences.ExpireSilence(ExpireSilenceRequest(silence_id=nobody)),
    ):
        refusal = await refusal_of(call)
        assert (grpc.StatusCode.NOT_FOUND, "SILENCE_NOT_FOUND") == (refusal.code, refusal.reason)


async def waits_for_a_lock(rpc: SteeringRpc) -> bool:
    waiting = (
        "SELECT 1 FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    return bool(await rpc.ground.rows(waiting))


async def test_a_claim_keeps_a_silence_from_being_ended_until_it_has_held_what_it_holds(
    rpc: SteeringRpc, notify_database: Database, clock: ManualClock
) -> None:
    """Else what was held meanwhile would not be woken, and stay held until the former end."""

    end = clock.now() + 5 * HOUR
    channel_id = await rpc.ground.channel()
    await raised_on(rpc, "web-1")
    silence_id = (await created(rpc, a_silence("web-*", end=end))).silence.silence_id
    async with notify_database.transaction() as connection:
        (silence,) = await read_current(connection, clock.now())
        expiring = rpc.silences.ExpireSilence(ExpireSilenceRequest(silence_id=silence_id))
        await eventually(partial(waits_for_a_lock, rpc))
        await connection.execute(
            "UPDATE deliveries SET state = 6, reason = 12, held_by = $1, next_attempt_time = $2",
            silence.silence_id,
            end,
        )
    assert (await expiring).changed
    (delivery,) = await rpc.ground.of(channel_id)
    assert clock.now() == delivery.next_attempt_time


async def test_what_a_silence_holds_is_told_once_it_is_ended(
    rpc: SteeringRpc, clock: ManualClock
) -> None:
    channel_id, queue = await rpc.ground.channel(), rpc.ground.queue()
    end = clock.now() + 5 * HOUR
    silence_id = (await created(rpc, a_silence("web-*", end=end))).silence.silence_id
    await raised_on(rpc, "web-1")

    assert [] == await queue.claim(channel_id, 1)
    (held,) = await rpc.ground.of(channel_id)
    assert (DeliveryState.HELD, end) == (held.state, held.next_attempt_time)

    await rpc.silences.ExpireSilence(ExpireSilenceRequest(silence_id=silence_id))
    (claim,) = await queue.claim(channel_id, 1)
    assert held.delivery_id == claim.delivery_id
