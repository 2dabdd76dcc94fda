"""ExplainAlert: every decision about an alert, with its reason, in the order of time."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import grpc
import pytest

from support.alert_stubs import alert_id
from support.notify_ground import AGAIN, OK
from support.notify_rpc import serving_notify
from support.refusals import refusal_of
from tocsin.api.notify.v1.decision_pb2 import DecisionReason
from tocsin.api.notify.v1.delivery_service_pb2 import (
    ExplainAlertRequest,
    ExplainAlertResponse,
    ListDeliveriesRequest,
)
from tocsin.notify.delivery.retry import RetrySchedule
from tocsin.notify.domain.delivery import AttemptOutcome, Receipt

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from support.clock import ManualClock
    from support.notify_rpc import NotifyRpc
    from tocsin.common.postgres.engine import Database

pytestmark = pytest.mark.postgres

SLOW_DOWN = Receipt(AttemptOutcome.RETRY, 429, "429 Too Many Requests")


@pytest.fixture
async def rpc(notify_database: Database, clock: ManualClock) -> AsyncIterator[NotifyRpc]:
    async with serving_notify(notify_database, clock) as running:
        yield running


async def explain(rpc: NotifyRpc, number: int = 1, **given: Any) -> ExplainAlertResponse:
    request = ExplainAlertRequest(alert_id=alert_id(number), **given)
    return await rpc.deliveries.ExplainAlert(request)


def reasons(answer: ExplainAlertResponse) -> list[str]:
    prefix = "DECISION_REASON_"
    return [DecisionReason.Name(each.reason).removeprefix(prefix) for each in answer.decisions]


async def attempt(rpc: NotifyRpc, channel_id: UUID, receipt: Receipt, *delays: int) -> None:
    schedule = RetrySchedule(tuple(timedelta(seconds=delay) for delay in (0, *delays)))
    queue = rpc.ground.queue(schedule)
    (claim,) = await queue.claim(channel_id, 1)
    await queue.settle(claim, receipt)


async def hold(rpc: NotifyRpc, clock: ManualClock, reason: int, by: UUID | None = None) -> None:
    """Hold what waits, as a claim does."""
    until = clock.now() + timedelta(hours=1)
    await rpc.ground.rows(
        "UPDATE deliveries SET state = 6, reason = $1, held_by = $2, next_attempt_time = $3"
        " WHERE state = 1",
        *(reason, by, until),
    )
    await rpc.ground.rows(
        "INSERT INTO decisions (time, event_id, alert_id, channel_id, delivery_id, reason, by_id,"
        " until_time) SELECT $1, event_id, alert_id, channel_id, delivery_id, reason, held_by,"
        " next_attempt_time FROM deliveries WHERE state = 6",
        clock.now(),
    )


async def test_attempts_are_told_with_what_they_met_until_it_is_delivered(
    rpc: NotifyRpc, clock: ManualClock
) -> None:
    channel_id = await rpc.ground.channel()
    await rpc.ground.raised(1)
    await attempt(rpc, channel_id, SLOW_DOWN, 5, 5)
    clock.advance(seconds=10)
    await attempt(rpc, channel_id, AGAIN, 5, 5)
    clock.advance(seconds=10)
    await attempt(rpc, channel_id, OK, 5, 5)

    answer = await explain(rpc)

    assert ["DEFAULT_ROUTE", "ATTEMPTED", "ATTEMPTED", "DELIVERED"] == reasons(answer)
    assert [
        "Goes to channel 1: no route steers it elsewhere.",
        "Attempt 1 got 429 Too Many Requests.",
        "Attempt 2 got 503 Service Unavailable.",
        "channel 1 accepted it by itself, with attempt 3.",
    ] == [each.text for each in answer.decisions]
    assert [0, 1, 2, 3] == [each.attempt_number for each in answer.decisions]
    (summary,) = answer.summaries
    assert summary.maybe_told
    assert "alert.raised told 2026-01-01 00:00:20Z" == summary.text


async def test_what_waits_for_its_next_attempt_says_when(
    rpc: NotifyRpc, clock: ManualClock
) -> None:
    channel_id = await rpc.ground.channel()
    await rpc.ground.raised(1)
    await attempt(rpc, channel_id, SLOW_DOWN, 60)

    answer = await explain(rpc)

    assert (
        "Attempt 1 got 429 Too Many Requests. The next one comes at 2026-01-01 00:01:00Z."
        == answer.decisions[-1].text
    )
    assert answer.decisions[-1].HasField("until_time")
    assert (
        "not told; alert.raised not yet told: 429 Too Many Requests, next attempt at"
        " 2026-01-01 00:01:00Z" == answer.summaries[0].text
    )


async def test_what_was_given_up_says_so(rpc: NotifyRpc) -> None:
    channel_id = await rpc.ground.channel()
    await rpc.ground.raised(1)
    await attempt(rpc, channel_id, AGAIN)

    answer = await explain(rpc)

    assert ["DEFAULT_ROUTE", "ATTEMPTED", "ATTEMPTS_EXHAUSTED"] == reasons(answer)
    assert answer.decisions[-1].text.startswith("Given up.")
    assert "given up" in answer.summaries[0].text


@pytest.mark.parametrize(
    ("number", "name", "words"),
    [
        (10, "GROUP_WAIT", "others of its group may follow"),
        (11, "QUIET_HOURS", "quiet hours"),
        (14, "RATE_LIMITED", "the rate limit of the channel is reached"),
        (15, "FLAPPING", "its key is raised again and again"),
    ],
)
async def test_a_hold_says_why_and_until_when(
    rpc: NotifyRpc, clock: ManualClock, number: int, name: str, words: str
) -> None:
    await rpc.ground.channel()
    await rpc.ground.raised(1)
    await hold(rpc, clock, number)

    answer = await explain(rpc)

    assert ["DEFAULT_ROUTE", name] == reasons(answer)
    assert f"Held until 2026-01-01 01:00:00Z: {words}." == answer.decisions[-1].text
    assert (
        f"not told; alert.raised not yet told: {words}, until 2026-01-01 01:00:00Z"
        == answer.summaries[0].text
    )


async def test_a_silence_is_named_with_who_made_it_and_why(
    rpc: NotifyRpc, clock: ManualClock
) -> None:
    await rpc.ground.channel()
    await rpc.ground.raised(1)
    silence_id = uuid4()
    await rpc.ground.rows(
        "INSERT INTO silences (silence_id, matchers, start_time, end_time, author, reason,"
        " request_id, create_time, created_by, expired_by)"
        " VALUES ($1, '[]', $2, $2, 'ann', 'disks are swapped', '', $2, '', '')",
        *(silence_id, clock.now()),
    )
    await hold(rpc, clock, 12, silence_id)

    answer = await explain(rpc)

    assert (
        "Held until 2026-01-01 01:00:00Z: silenced by ann: disks are swapped."
        == answer.decisions[-1].text
    )
    assert str(silence_id) == answer.decisions[-1].silence_id
    (listed,) = (await rpc.deliveries.ListDeliveries(ListDeliveriesRequest())).deliveries
    assert str(silence_id) == listed.silence_id


async def test_the_alert_that_explains_it_is_named(rpc: NotifyRpc, clock: ManualClock) -> None:
    await rpc.ground.channel()
    await rpc.ground.raised(1)
    await hold(rpc, clock, 13, UUID(alert_id(2)))

    answer = await explain(rpc)

    assert alert_id(2) == answer.decisions[-1].explaining_alert_id
    assert f"Held: alert {alert_id(2)} explains it." in answer.decisions[-1].text


async def test_what_collapsed_names_what_is_told_in_its_place(rpc: NotifyRpc) -> None:
    channel_id = await rpc.ground.channel()
    await rpc.ground.raised(1)
    await rpc.ground.changed(1, 2)
    await attempt(rpc, channel_id, OK)

    answer = await explain(rpc)

    assert ["DEFAULT_ROUTE", "COLLAPSED", "DEFAULT_ROUTE", "DELIVERED"] == reasons(answer)
    assert answer.decisions[-1].delivery_id == answer.decisions[1].told_by_delivery_id
    assert (
        "channel 1 accepted it by itself, as alert.raised, with attempt 1."
        == answer.decisions[-1].text
    )


async def test_an_end_whose_beginning_was_never_told_says_so(rpc: NotifyRpc) -> None:
    channel_id = await rpc.ground.channel()
    await rpc.ground.raised(1)
    await rpc.ground.resolved(1)
    assert [] == await rpc.ground.queue().claim(channel_id, 9)

    answer = await explain(rpc)

    assert "NEVER_TOLD" == reasons(answer)[-1]
    assert (
        "not told; alert.resolved not told: the channel never heard that it began"
        == answer.summaries[0].text
    )


async def test_while_the_breaker_is_open_it_says_since_when(
    rpc: NotifyRpc, clock: ManualClock
) -> None:
    channel_id = await rpc.ground.channel()
    await rpc.ground.raised(1)
    await rpc.ground.rows(
        "INSERT INTO channel_states (channel_id, breaker, failing_since, probe_time, last_error)"
        " VALUES ($1, 2, $2, $3, '500 Oops')",
        *(channel_id, clock.now(), clock.now() + timedelta(minutes=5)),
    )

    answer = await explain(rpc)

    assert ["DEFAULT_ROUTE", "BREAKER_OPEN"] == reasons(answer)
    assert "Waits: channel 1 fails since 2026-01-01 00:00:00Z with 500 Oops." == (
        answer.decisions[-1].text
    )


async def test_while_the_far_side_wants_to_be_left_alone_it_says_until_when(
    rpc: NotifyRpc, clock: ManualClock
) -> None:
    channel_id = await rpc.ground.channel()
    await rpc.ground.raised(1)
    await rpc.ground.rows(
        "INSERT INTO channel_states (channel_id, tokens, tokens_time) VALUES ($1, 1, $2)",
        *(channel_id, clock.now() + timedelta(minutes=5)),
    )

    answer = await explain(rpc)

    assert ["DEFAULT_ROUTE", "RATE_LIMITED"] == reasons(answer)
    assert "Waits: channel 1 asked to be left alone until 2026-01-01 00:05:00Z." == (
        answer.decisions[-1].text
    )


async def test_what_waits_behind_another_of_its_alert_says_so(rpc: NotifyRpc) -> None:
    channel_id = await rpc.ground.channel()
    await rpc.ground.raised(1)
    (claim,) = await rpc.ground.queue().claim(channel_id, 1)
    await rpc.ground.changed(1, 2)

    answer = await explain(rpc)

    assert "BEHIND" == reasons(answer)[-1]
    assert str(claim.delivery_id) == answer.decisions[-1].told_by_delivery_id


async def test_what_waits_while_notify_is_out_of_step_says_so(
    rpc: NotifyRpc, clock: ManualClock
) -> None:
    await rpc.ground.channel()
    await rpc.ground.raised(1)
    clock.advance(timedelta(minutes=10))

    answer = await explain(rpc)

    assert "CATCHING_UP" == reasons(answer)[-1]


async def test_what_a_digest_tells_is_told_with_the_attempts_of_the_digest(
    rpc: NotifyRpc, clock: ManualClock
) -> None:
    channel_id = await rpc.ground.channel()
    await rpc.ground.raised(1, 2)
    carried, digest = await rpc.ground.of(channel_id)
    await rpc.ground.rows(
        "UPDATE deliveries SET state = 6, reason = 17, carried_by = $1, held_by = $1, told_as = 1,"
        " next_attempt_time = NULL WHERE delivery_id = $2",
        *(digest.delivery_id, carried.delivery_id),
    )
    waiting = await explain(rpc)
    await attempt(rpc, channel_id, SLOW_DOWN, 5)
    clock.advance(seconds=10)
    await attempt(rpc, channel_id, OK, 5)

    answer = await explain(rpc)

    assert "not told; alert.raised not yet told: it waits for its digest" == (
        waiting.summaries[0].text
    )
    assert ["DEFAULT_ROUTE", "CARRIED", "ATTEMPTED", "DELIVERED"] == reasons(answer)
    assert str(digest.delivery_id) == answer.decisions[1].told_by_delivery_id
    assert [
        "In the digest, attempt 1 got 429 Too Many Requests.",
        "channel 1 accepted it in a digest, with attempt 2.",
    ] == [each.text for each in answer.decisions[2:]]
    assert "alert.raised told 2026-01-01 00:00:10Z" == answer.summaries[0].text


async def test_a_disabled_channel_is_told_of(rpc: NotifyRpc) -> None:
    channel_id = await rpc.ground.channel()
    await rpc.ground.raised(1)
    await rpc.ground.rows("UPDATE channels SET enabled = false WHERE channel_id = $1", channel_id)

    answer = await explain(rpc)

    assert ["DEFAULT_ROUTE", "CHANNEL_OFF"] == reasons(answer)
    assert "Waits: channel 1 is disabled." == answer.decisions[-1].text


async def test_a_channel_that_no_route_named_says_which_route_matched_instead(
    rpc: NotifyRpc, clock: ManualClock
) -> None:
    told, untold = await rpc.ground.channel(), await rpc.ground.channel()
    await rpc.ground.rows(
        "INSERT INTO routes (route_id, position, display_name, enabled, channel_ids, config,"
        " version, create_time, update_time) VALUES ($1, 1, 'on call', true, $2, $3, 1, $4, $4)",
        *(uuid4(), [told], PLAIN_ROUTE, clock.now()),
    )
    await rpc.ground.raised(1)

    answer = await explain(rpc, channel_id=str(untold))

    assert ["NO_ROUTE"] == reasons(answer)
    assert [str(untold)] == [each.channel_id for each in answer.summaries]
    assert "Not told to channel 2: no route that matched names it" in answer.summaries[0].text
    whole = await explain(rpc)
    assert "what matched was the route 'on call'" in whole.summaries[1].text
    assert "Goes to channel 1 by the route 'on call'." in [each.text for each in whole.decisions]


async def test_an_alert_that_went_to_nobody_says_why(rpc: NotifyRpc) -> None:
    await rpc.ground.raised(1)

    answer = await explain(rpc)

    assert ["CHANNEL_OFF"] == reasons(answer)
    assert "alert.raised" == answer.decisions[0].event_type


async def test_what_nobody_knows_is_not_found(rpc: NotifyRpc) -> None:
    await rpc.ground.channel()
    await rpc.ground.raised(1)

    async def reason(number: int, **given: Any) -> tuple[grpc.StatusCode, str]:
        refusal = await refusal_of(explain(rpc, number, **given))
        return refusal.code, refusal.reason

    assert (grpc.StatusCode.NOT_FOUND, "ALERT_NOT_KNOWN") == await reason(7)
    assert (grpc.StatusCode.NOT_FOUND, "CHANNEL_NOT_FOUND") == await reason(
        1, channel_id=str(uuid4())
    )
    assert grpc.StatusCode.INVALID_ARGUMENT == (await reason(1, channel_id="nonsense"))[0]


PLAIN_ROUTE = (
    '{"matchers": [], "continue_matching": false, "min_severity": null, "group_wait_seconds": 0,'
    ' "group_by": [], "max_group_size": 100, "reminders": null, "quiet_hours": null,'
    ' "proof": null}'
)
