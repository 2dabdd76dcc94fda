"""RouteService through a real server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import grpc
import pytest

from support.refusals import assert_told, refusal_of
from support.steering_rpc import serving_steering
from tocsin.api.notify.v1.matcher_pb2 import (
    MATCH_FIELD_EVENT_TYPE,
    MATCH_FIELD_HOST_ID,
    MATCH_FIELD_KIND,
    MATCH_FIELD_LABEL,
    MATCH_FIELD_SEVERITY,
    MATCH_OPERATOR_ANY_OF,
    MATCH_OPERATOR_LIKE,
    Matcher,
)
from tocsin.api.notify.v1.recurrence_pb2 import Recurrence
from tocsin.api.notify.v1.route_pb2 import GroupField, QuietHours, Reminders, Route
from tocsin.api.notify.v1.route_service_pb2 import (
    CreateRouteRequest,
    DeleteRouteRequest,
    GetRouteRequest,
    ListRoutesRequest,
    ReorderRoutesRequest,
    UpdateRouteRequest,
)
from tocsin.notify.domain.delivery import DeliveryState

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from support.clock import ManualClock
    from support.refusals import Refusal
    from support.steering_rpc import SteeringRpc
    from tocsin.common.postgres.engine import Database

pytestmark = pytest.mark.postgres


@pytest.fixture
async def rpc(notify_database: Database, clock: ManualClock) -> AsyncIterator[SteeringRpc]:
    async with serving_steering(notify_database, clock) as running:
        yield running


async def created(rpc: SteeringRpc, name: str = "all", position: int = 0, **fields: Any) -> Route:
    if "channel_ids" not in fields:
        fields["channel_ids"] = [str(await rpc.ground.channel())]
    request = CreateRouteRequest(route=Route(display_name=name, **fields), position=position)
    return (await rpc.routes.CreateRoute(request)).route


def assert_each_told(expected: dict[str, str], refusal: Refusal) -> None:
    """Check the violations alone: the message is too short for so many."""
    assert set(expected) == set(refusal.violations)
    for path, words in expected.items():
        assert words in refusal.violations[path], refusal.violations[path]


async def names(rpc: SteeringRpc) -> list[str]:
    answer = await rpc.routes.ListRoutes(ListRoutesRequest())
    assert list(range(1, len(answer.routes) + 1)) == [route.position for route in answer.routes]
    return [route.display_name for route in answer.routes]


def a_full_route(channel_id: str) -> Route:
    route = Route(
        display_name="database hosts at night",
        enabled=True,
        matchers=[
            Matcher(
                field=MATCH_FIELD_HOST_ID, operator=MATCH_OPERATOR_LIKE, values=["db-*", "sql-?"]
            ),
            Matcher(
                field=MATCH_FIELD_LABEL,
                label="site",
                operator=MATCH_OPERATOR_ANY_OF,
                values=["Berlin", ""],
            ),
        ],
        channel_ids=[channel_id],
        continue_matching=True,
        min_severity="warning",
        group_by=[GroupField(field=MATCH_FIELD_KIND)],
        max_group_size=7,
        reminders=Reminders(factor=1.5, max_count=3),
        quiet_hours=QuietHours(
            time_zone="Europe/Berlin", start="22:00", end="06:30", days=["mon", "sun"]
        ),
        proof=Recurrence(on_calendar="Mon..Fri 07:30", time_zone="Europe/Berlin"),
    )
    route.group_wait.FromTimedelta(timedelta(seconds=30))
    route.reminders.first_after.FromTimedelta(timedelta(hours=2))
    route.reminders.longest_pause.FromTimedelta(timedelta(hours=12))
    return route


async def test_a_route_reads_as_it_was_written(rpc: SteeringRpc, clock: ManualClock) -> None:
    wanted = a_full_route(str(await rpc.ground.channel()))
    route = (await rpc.routes.CreateRoute(CreateRouteRequest(route=wanted))).route
    read = (await rpc.routes.GetRoute(GetRouteRequest(route_id=route.route_id))).route

    assert route == read
    assert (1, 1) == (read.position, read.version)
    assert clock.now() == read.create_time.ToDatetime(UTC) == read.update_time.ToDatetime(UTC)
    for name in ("route_id", "position", "version", "create_time", "update_time"):
        read.ClearField(name)
    assert wanted == read


async def test_what_is_not_given_gets_its_default(rpc: SteeringRpc) -> None:
    wanted = Route(display_name="a", channel_ids=[str(await rpc.ground.channel())])
    wanted.reminders.first_after.FromTimedelta(timedelta(days=2))
    route = (await rpc.routes.CreateRoute(CreateRouteRequest(route=wanted))).route

    assert (True, 100, 2.0, 20) == (
        route.enabled,
        route.max_group_size,
        route.reminders.factor,
        route.reminders.max_count,
    )
    assert timedelta(days=2) == route.reminders.longest_pause.ToTimedelta()
    assert not route.HasField("group_wait")
    assert not route.HasField("quiet_hours")


async def test_what_was_read_can_be_written_back_and_changes_nothing(rpc: SteeringRpc) -> None:
    wanted = a_full_route(str(await rpc.ground.channel()))
    route = (await rpc.routes.CreateRoute(CreateRouteRequest(route=wanted))).route
    again = (await rpc.routes.UpdateRoute(UpdateRouteRequest(route=route))).route
    assert route == again
    plain = await created(rpc, "plain")
    assert plain == (await rpc.routes.UpdateRoute(UpdateRouteRequest(route=plain))).route


async def test_a_route_takes_its_place_and_the_others_move_back(rpc: SteeringRpc) -> None:
    answer = await rpc.routes.ListRoutes(ListRoutesRequest())
    assert answer.default_route_applies
    await created(rpc, "last")
    await created(rpc, "first", position=1)
    await created(rpc, "middle", position=2)
    await created(rpc, "end", position=4)

    assert ["first", "middle", "last", "end"] == await names(rpc)
    answer = await rpc.routes.ListRoutes(ListRoutesRequest())
    assert not answer.default_route_applies


async def test_a_place_that_there_is_not_is_refused(rpc: SteeringRpc) -> None:
    await created(rpc, "one")
    channel_id = str(await rpc.ground.channel())
    for place, words in ((3, "the last place is 2"), (-1, "is -1")):
        request = CreateRouteRequest(
            route=Route(display_name="b", channel_ids=[channel_id]), position=place
        )
        assert_told({"position": words}, await refusal_of(rpc.routes.CreateRoute(request)))


async def test_an_update_replaces_all_but_the_place(rpc: SteeringRpc, clock: ManualClock) -> None:
    await created(rpc, "other")
    route = await created(rpc, "old", min_severity="critical")
    clock.advance(seconds=60)
    wanted = Route(
        route_id=route.route_id, display_name="new", channel_ids=route.channel_ids, enabled=False
    )
    changed = (await rpc.routes.UpdateRoute(UpdateRouteRequest(route=wanted))).route

    assert ("new", 2, 2, "", False) == (
        changed.display_name,
        changed.position,
        changed.version,
        changed.min_severity,
        changed.enabled,
    )
    assert route.create_time == changed.create_time
    assert clock.now() == changed.update_time.ToDatetime(UTC)


async def test_a_change_of_what_somebody_else_changed_is_refused(rpc: SteeringRpc) -> None:
    route = await created(rpc)
    mine = Route()
    mine.CopyFrom(route)
    mine.display_name = "mine"
    await rpc.routes.UpdateRoute(UpdateRouteRequest(route=mine))
    mine.display_name = "mine again"
    refusal = await refusal_of(rpc.routes.UpdateRoute(UpdateRouteRequest(route=mine)))
    assert (grpc.StatusCode.ABORTED, "VERSION_MISMATCH") == (refusal.code, refusal.reason)


async def test_a_name_is_that_of_one_route(rpc: SteeringRpc) -> None:
    await created(rpc, "one")
    other = await created(rpc, "two")
    other.display_name = "one"
    request = CreateRouteRequest(route=Route(display_name="one", channel_ids=other.channel_ids))
    for call in (
        rpc.routes.CreateRoute(request),
        rpc.routes.UpdateRoute(UpdateRouteRequest(route=other)),
    ):
        refusal = await refusal_of(call)
        assert grpc.StatusCode.ALREADY_EXISTS == refusal.code
        assert "ROUTE_NAME_TAKEN" == refusal.reason


async def test_deleting_closes_the_gap_and_the_last_one_brings_the_default_back(
    rpc: SteeringRpc,
) -> None:
    one, two, three = [await created(rpc, name) for name in ("one", "two", "three")]
    answer = await rpc.routes.DeleteRoute(DeleteRouteRequest(route_id=two.route_id))
    assert not answer.default_route_applies
    assert ["one", "three"] == await names(rpc)
    await rpc.routes.DeleteRoute(DeleteRouteRequest(route_id=one.route_id))
    answer = await rpc.routes.DeleteRoute(DeleteRouteRequest(route_id=three.route_id))
    assert answer.default_route_applies


async def test_the_order_can_be_changed_as_a_whole(rpc: SteeringRpc) -> None:
    one, two, three = [await created(rpc, name) for name in ("one", "two", "three")]
    order = [three.route_id, one.route_id, two.route_id]
    answer = await rpc.routes.ReorderRoutes(ReorderRoutesRequest(route_ids=order))
    assert ["three", "one", "two"] == [route.display_name for route in answer.routes]
    assert ["three", "one", "two"] == await names(rpc)


async def test_an_order_of_other_routes_than_there_are_is_refused(rpc: SteeringRpc) -> None:
    one, two = [await created(rpc, name) for name in ("one", "two")]
    for order, words in (
        ([one.route_id], "leaves out 'two'"),
        ([one.route_id, two.route_id, str(UUID(int=7))], f"names {UUID(int=7)}"),
    ):
        call = rpc.routes.ReorderRoutes(ReorderRoutesRequest(route_ids=order))
        refusal = await refusal_of(call)
        assert (grpc.StatusCode.ABORTED, "ROUTES_CHANGED") == (refusal.code, refusal.reason)
        assert words in refusal.message
    call = rpc.routes.ReorderRoutes(
        ReorderRoutesRequest(route_ids=[one.route_id, one.route_id, "x"])
    )
    expected = {"route_ids[1]": "stands there twice", "route_ids[2]": "is not a UUID"}
    assert_told(expected, await refusal_of(call))


async def test_a_route_that_does_not_exist_is_not_found(rpc: SteeringRpc) -> None:
    nobody = str(uuid4())
    channel_id = str(await rpc.ground.channel())
    wanted = Route(route_id=nobody, display_name="a", channel_ids=[channel_id])
    for call in (
        rpc.routes.GetRoute(GetRouteRequest(route_id=nobody)),
        rpc.routes.UpdateRoute(UpdateRouteRequest(route=wanted)),
        rpc.routes.DeleteRoute(DeleteRouteRequest(route_id=nobody)),
    ):
        refusal = await refusal_of(call)
        assert (grpc.StatusCode.NOT_FOUND, "ROUTE_NOT_FOUND") == (refusal.code, refusal.reason)


async def test_a_route_to_a_channel_that_does_not_exist_is_refused(rpc: SteeringRpc) -> None:
    there, deleted = await rpc.ground.channel(), await rpc.ground.channel()
    await rpc.ground.channels.delete(deleted)
    never = uuid4()
    wanted = Route(display_name="a", channel_ids=[str(each) for each in (there, deleted, never)])
    refusal = await refusal_of(rpc.routes.CreateRoute(CreateRouteRequest(route=wanted)))
    expected = {
        "route.channel_ids[1]": f"no channel has the id {deleted}",
        "route.channel_ids[2]": f"no channel has the id {never}",
    }
    assert_told(expected, refusal)
    assert [] == await names(rpc)


async def test_what_can_never_match_is_refused(rpc: SteeringRpc) -> None:
    matchers = [
        Matcher(values=["x"]),
        Matcher(field=MATCH_FIELD_SEVERITY, values=["warn", "critical"]),
        Matcher(field=MATCH_FIELD_KIND, values=["Backup"]),
        Matcher(field=MATCH_FIELD_KIND, values=["backup_*"]),
        Matcher(field=MATCH_FIELD_LABEL, values=["x"]),
        Matcher(field=MATCH_FIELD_HOST_ID, label="x", values=[]),
        Matcher(field=MATCH_FIELD_EVENT_TYPE, operator=MATCH_OPERATOR_LIKE, values=["alert.*"]),
        Matcher(field=MATCH_FIELD_HOST_ID, operator=9, values=["x"]),  # type: ignore[arg-type]  # open enum
        Matcher(field=MATCH_FIELD_HOST_ID, values=["a\0b", "x" * 257]),
    ]
    wanted = Route(
        display_name="a", channel_ids=[str(await rpc.ground.channel())], matchers=matchers
    )
    refusal = await refusal_of(rpc.routes.CreateRoute(CreateRouteRequest(route=wanted)))
    assert_each_told(
        {
            "route.matchers[0].field": "MATCH_FIELD_KIND",
            "route.matchers[1].values[0]": "'warn' is none of info, warning, critical",
            "route.matchers[2].values[0]": "'Backup' is no kind",
            "route.matchers[3].values[0]": "only LIKE and NOT_LIKE understand",
            "route.matchers[4].label": "must not be empty",
            "route.matchers[5].label": "is not for MATCH_FIELD_HOST_ID",
            "route.matchers[5].values": "has 0 values",
            "route.matchers[6].values[0]": "fits none of raised",
            "route.matchers[7].operator": "has no value 9",
            "route.matchers[8].values[0]": "holds a NUL character",
            "route.matchers[8].values[1]": "has 257 characters",
        },
        refusal,
    )


async def test_everything_that_is_wrong_with_a_route_is_told_at_once(rpc: SteeringRpc) -> None:
    wanted = Route(
        display_name=" a",
        min_severity="critcal",
        channel_ids=["x"],
        group_by=[GroupField(field=MATCH_FIELD_EVENT_TYPE)],
        max_group_size=1_001,
        reminders=Reminders(factor=float("nan"), max_count=-1),
        quiet_hours=QuietHours(time_zone="Berlin", start="24:00", end="7", days=["monday"]),
        proof=Recurrence(cron="7 30", time_zone="UTC"),
    )
    wanted.reminders.first_after.FromTimedelta(timedelta(seconds=1))
    refusal = await refusal_of(rpc.routes.CreateRoute(CreateRouteRequest(route=wanted)))
    assert_each_told(
        {
            "route.display_name": "begins or ends with a space",
            "route.min_severity": "did you mean critical?",
            "route.channel_ids[0]": "is not a UUID",
            "route.group_wait": "must be set with group_by",
            "route.group_by[0].field": "is for the matchers of routes alone",
            "route.max_group_size": "is 1,001; write 1 to 1,000",
            "route.reminders.first_after": "is 1 s; write 1 minute to 30 days",
            "route.reminders.factor": "is nan; write 1 to 10",
            "route.reminders.max_count": "is -1",
            "route.quiet_hours.time_zone": "did you mean Europe/Berlin?",
            "route.quiet_hours.start": "'24:00' is no time of day",
            "route.quiet_hours.end": "'7' is no time of day",
            "route.quiet_hours.days[0]": "did you mean mon?",
            "route.proof.cron": "has 2 fields; write five",
        },
        refusal,
    )


@pytest.mark.parametrize(
    ("fields", "path", "words"),
    [
        ({"channel_ids": []}, "route.channel_ids", "has 0 channels; write 1 to 50"),
        ({"matchers": [Matcher()] * 51}, "route.matchers", "has 51 matchers"),
        (
            {"quiet_hours": QuietHours(time_zone="UTC", start="07:00", end="07:00")},
            "route.quiet_hours.end",
            "it would never be loud",
        ),
        (
            {"quiet_hours": QuietHours(start="07:00", end="08:00")},
            "route.quiet_hours.time_zone",
            "write a zone such as Europe/Berlin",
        ),
        ({"proof": Recurrence(time_zone="UTC")}, "route.proof", "must hold one of cron"),
        ({"display_name": ""}, "route.display_name", "must not be empty"),
    ],
)
async def test_what_makes_no_sense_is_refused(
    rpc: SteeringRpc, fields: dict[str, Any], path: str, words: str
) -> None:
    given = {"display_name": "a", "channel_ids": [str(await rpc.ground.channel())]}
    wanted = Route(**{**given, **fields})
    refusal = await refusal_of(rpc.routes.CreateRoute(CreateRouteRequest(route=wanted)))
    assert_told({path: words}, refusal)


async def test_one_route_too_many_is_refused(rpc: SteeringRpc) -> None:
    channel_id = await rpc.ground.channel()
    await rpc.ground.rows(
        "INSERT INTO routes SELECT gen_random_uuid(), n, 'route ' || n, true, ARRAY[$1::uuid],"
        " '{}', 1, now(), now() FROM generate_series(1, 500) n",
        channel_id,
    )
    await rpc.ground.rows(
        "UPDATE routes SET config = $1",
        '{"matchers": [], "continue_matching": false, "min_severity": null, "group_by": [],'
        ' "group_wait_seconds": 0, "max_group_size": 100, "reminders": null, "quiet_hours": null,'
        ' "proof": null}',
    )
    wanted = Route(display_name="a", channel_ids=[str(channel_id)])
    refusal = await refusal_of(rpc.routes.CreateRoute(CreateRouteRequest(route=wanted)))
    assert_told({"route": "would be one more than 500"}, refusal)


async def proof_time(rpc: SteeringRpc) -> datetime | None:
    ((time,),) = await rpc.ground.rows("SELECT next_proof_time FROM routes")
    return time  # type: ignore[return-value]  # a row of anything


async def test_the_first_proof_is_set_and_moves_only_with_its_times(
    rpc: SteeringRpc, clock: ManualClock
) -> None:
    morning = Recurrence(cron="30 7 * * *", time_zone="Europe/Berlin")
    route = await created(rpc, proof=morning)
    assert datetime(2026, 1, 1, 6, 30, tzinfo=UTC) == await proof_time(rpc)

    clock.advance(timedelta(days=2))
    route.display_name = "renamed"
    route = (await rpc.routes.UpdateRoute(UpdateRouteRequest(route=route))).route
    assert datetime(2026, 1, 1, 6, 30, tzinfo=UTC) == await proof_time(rpc)

    route.enabled = False
    route = (await rpc.routes.UpdateRoute(UpdateRouteRequest(route=route))).route
    assert await proof_time(rpc) is None

    route.enabled = True
    await rpc.routes.UpdateRoute(UpdateRouteRequest(route=route))
    assert datetime(2026, 1, 3, 6, 30, tzinfo=UTC) == await proof_time(rpc)


async def test_what_waits_for_a_pause_of_a_route_is_looked_at_when_it_changes(
    rpc: SteeringRpc, clock: ManualClock
) -> None:
    channel_id = await rpc.ground.channel()
    route = await created(rpc, channel_ids=[str(channel_id)])
    await rpc.ground.raised(1, 2)
    later = clock.now() + timedelta(hours=8)
    # 11 is QUIET_HOURS, 12 SILENCED.
    await rpc.ground.rows(
        "UPDATE deliveries SET state = 6, next_attempt_time = $1,"
        " reason = CASE row_number WHEN 1 THEN 11 ELSE 12 END"
        " FROM (SELECT delivery_id AS id, row_number() OVER (ORDER BY sequence)"
        " FROM deliveries) numbered WHERE id = delivery_id",
        later,
    )
    clock.advance(seconds=60)
    rpc.changes.clear()
    route.display_name = "other"
    await rpc.routes.UpdateRoute(UpdateRouteRequest(route=route))

    rows = await rpc.ground.rows("SELECT next_attempt_time FROM deliveries ORDER BY sequence")
    assert [(clock.now(),), (later,)] == rows
    assert 1 == len(rpc.changes)


async def test_what_quiet_hours_hold_is_told_once_the_route_has_none(
    rpc: SteeringRpc, clock: ManualClock
) -> None:
    channel_id, queue = await rpc.ground.channel(), rpc.ground.queue()
    quiet = QuietHours(time_zone="UTC", start="23:00", end="07:00")
    route = await created(rpc, channel_ids=[str(channel_id)], quiet_hours=quiet)
    await rpc.ground.raised(1)

    assert [] == await queue.claim(channel_id, 1)
    (held,) = await rpc.ground.of(channel_id)
    assert DeliveryState.HELD == held.state
    assert clock.now() + timedelta(hours=7) == held.next_attempt_time

    route.ClearField("quiet_hours")
    await rpc.routes.UpdateRoute(UpdateRouteRequest(route=route))
    (claim,) = await queue.claim(channel_id, 1)
    assert held.delivery_id == claim.delivery_id
