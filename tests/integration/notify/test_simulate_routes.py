"""SimulateRoutes through a real server, against what intake does."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from support.alert_stubs import an_alert, an_event, resolved
from support.refusals import assert_told, refusal_of
from support.steering_rpc import MOST_EVENTS, serving_steering
from tocsin.api.alert.v1.event_pb2 import (
    ALERT_EVENT_TYPE_CAUSE_CHANGED,
    ALERT_EVENT_TYPE_RESOLVED,
)
from tocsin.api.notify.v1.matcher_pb2 import MATCH_FIELD_HOST_ID, MATCH_FIELD_KIND, Matcher
from tocsin.api.notify.v1.route_pb2 import QuietHours, Route
from tocsin.api.notify.v1.route_service_pb2 import (
    CreateRouteRequest,
    SampleEvent,
    SimulateRoutesRequest,
    SimulateRoutesResponse,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from uuid import UUID

    from support.clock import ManualClock
    from support.steering_rpc import SteeringRpc
    from tocsin.api.alert.v1.event_pb2 import AlertEvent
    from tocsin.common.postgres.engine import Database

pytestmark = pytest.mark.postgres

SAMPLE = SampleEvent(host_id="web-1", kind="backup_failed")


@pytest.fixture
async def rpc(notify_database: Database, clock: ManualClock) -> AsyncIterator[SteeringRpc]:
    async with serving_steering(notify_database, clock) as running:
        yield running


def a_route(name: str, *channel_ids: UUID, **fields: Any) -> Route:
    return Route(display_name=name, channel_ids=[str(each) for each in channel_ids], **fields)


def of_kind(*kinds: str) -> list[Matcher]:
    return [Matcher(field=MATCH_FIELD_KIND, values=kinds)]


async def simulated(rpc: SteeringRpc, **fields: Any) -> SimulateRoutesResponse:
    return await rpc.routes.SimulateRoutes(SimulateRoutesRequest(**fields))


async def test_without_routes_a_sample_goes_to_every_enabled_channel(rpc: SteeringRpc) -> None:
    await rpc.ground.channel()
    await rpc.ground.channel()
    answer = await simulated(rpc, sample=SAMPLE)
    assert [("channel 1", 1, []), ("channel 2", 1, [])] == [
        (each.channel_display_name, each.event_count, list(each.route_names))
        for each in answer.channels
    ]
    assert (1, 0) == (answer.event_count, answer.untold_count)


async def test_the_kept_routes_say_who_is_told_of_a_sample_and_by_which(rpc: SteeringRpc) -> None:
    one = await rpc.ground.channel()
    route = a_route("checks", one, matchers=of_kind("check_failed"))
    await rpc.routes.CreateRoute(CreateRouteRequest(route=route))
    answer = await simulated(rpc, sample=SAMPLE)
    assert (1, ["backup_failed"]) == (answer.untold_count, list(answer.untold_kinds))

    answer = await simulated(rpc, sample=SampleEvent(host_id="web-1", kind="check_failed"))
    assert [["checks"]] == [list(each.route_names) for each in answer.channels]


async def test_other_routes_can_be_tried_and_are_not_kept(rpc: SteeringRpc) -> None:
    one, two = await rpc.ground.channel(), await rpc.ground.channel()
    await rpc.routes.CreateRoute(CreateRouteRequest(route=a_route("kept", one)))
    quiet = QuietHours(time_zone="UTC", start="23:00", end="01:00")
    tried = [a_route("tried", two, quiet_hours=quiet)]
    answer = await simulated(rpc, sample=SAMPLE, routes=tried)
    assert [("channel 2", 1, ["tried"])] == [
        (each.channel_display_name, each.held_count, list(each.route_names))
        for each in answer.channels
    ]
    assert [("kept",)] == await rpc.ground.rows("SELECT display_name FROM routes")


async def test_what_is_wrong_with_a_question_is_told_at_once(rpc: SteeringRpc) -> None:
    sample = SampleEvent(event_type="rased", kind="", severity="bad", labels={"": "x"})
    refusal = await refusal_of(simulated(rpc, sample=sample))
    assert_told(
        {
            "sample.event_type": "did you mean raised?",
            "sample.kind": "is no kind",
            "sample.severity": "none of info, warning, critical",
            "sample.host_id": "must not be empty",
            "sample.labels[]": "has a name of 0 characters",
        },
        refusal,
    )
    assert_told({"events": "must hold one of"}, await refusal_of(simulated(rpc)))
    for days in (0, 91, -1):
        assert_told({"days": f"is {days}"}, await refusal_of(simulated(rpc, days=days)))
    refusal = await refusal_of(
        simulated(rpc, sample=SAMPLE, routes=[Route(display_name="a", channel_ids=["x"])])
    )
    assert_told({"routes[0].channel_ids[0]": "is not a UUID"}, refusal)


def some_events(seed: int) -> list[AlertEvent]:
    """A history of alerts on two hosts, of three kinds: each raised, some changed and resolved."""
    roll = random.Random(seed)
    events: list[AlertEvent] = []
    for number in range(1, 11):
        fields: dict[str, Any] = {
            "host_id": roll.choice(["web-1", "db-1"]),
            "kind": roll.choice(["backup_failed", "check_failed", "prune_failed"]),
        }
        changed = {**fields, "cause": "locked", "host_id": "moved"}
        events.append(an_event(len(events) + 1, an_alert(number, **fields)))
        if roll.random() < 0.5:
            alert = an_alert(number, **changed)
            events.append(an_event(len(events) + 1, alert, ALERT_EVENT_TYPE_CAUSE_CHANGED))
        if roll.random() < 0.5:
            alert = resolved(number, **fields)
            events.append(an_event(len(events) + 1, alert, ALERT_EVENT_TYPE_RESOLVED))
    return events


@pytest.mark.parametrize("seed", range(4))
async def test_a_simulation_of_the_last_days_says_what_taking_them_in_did(
    rpc: SteeringRpc, seed: int
) -> None:
    channels = [await rpc.ground.channel() for _ in range(3)]
    for route in (
        a_route("backups", channels[0], matchers=of_kind("backup_failed"), continue_matching=True),
        a_route(
            "web",
            *channels[:2],
            matchers=[Matcher(field=MATCH_FIELD_HOST_ID, values=["web-1", "moved"])],
        ),
        a_route("checks", channels[2], matchers=of_kind("check_failed")),
    ):
        await rpc.routes.CreateRoute(CreateRouteRequest(route=route))
    events = some_events(seed)
    await rpc.ground.take_in(*events)

    answer = await simulated(rpc, days=1)

    taken_in = {str(each): len(await rpc.ground.of(each)) for each in channels}
    assert {each: count for each, count in taken_in.items() if count} == {
        each.channel_id: each.event_count for each in answer.channels
    }
    counts = [each.event_count for each in answer.channels]
    assert sorted(counts, reverse=True) == counts
    ((untold,),) = await rpc.ground.rows(
        "SELECT count(*) FROM inbox_events i"
        " WHERE NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.event_id = i.event_id)"
    )
    assert (len(events), untold) == (answer.event_count, answer.untold_count)


async def test_only_the_events_of_these_days_are_looked_at(
    rpc: SteeringRpc, clock: ManualClock
) -> None:
    await rpc.ground.channel()
    await rpc.ground.raised(1, 2, 3)
    clock.advance(timedelta(days=2))
    await rpc.ground.raised(4)
    assert 1 == (await simulated(rpc, days=1)).event_count
    assert 4 == (await simulated(rpc, days=3)).event_count


async def test_only_the_latest_events_are_looked_at_and_it_says_so(rpc: SteeringRpc) -> None:
    await rpc.ground.channel()
    await rpc.ground.raised(*range(1, MOST_EVENTS + 1))
    answer = await simulated(rpc, days=1)
    assert (MOST_EVENTS, False) == (answer.event_count, answer.truncated)

    await rpc.ground.raised(MOST_EVENTS + 1)
    answer = await simulated(rpc, days=1)
    assert (MOST_EVENTS, True) == (answer.event_count, answer.truncated)
