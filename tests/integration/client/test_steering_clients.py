"""Routes and silences by the blocking and the asyncio client, by one table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from support.alert_stubs import alert_id
from support.client_calls import Caller, Case
from tocsin.api.notify.v1 import route_service_pb2 as routes
from tocsin.api.notify.v1 import silence_service_pb2 as silences
from tocsin.api.notify.v1.route_pb2 import Route
from tocsin.api.notify.v1.silence_pb2 import Silence
from tocsin.client import NotifyClient, SyncNotifyClient, UnavailableError, steering_requests
from tocsin.common import errors as common

if TYPE_CHECKING:
    from support.scripted_answers import ScriptedAnswers

ID, OTHER = alert_id(1), alert_id(2)
ROUTE = Route(route_id=ID, display_name="nights")
SILENCE = Silence(silence_id=ID, reason="moving")
SAMPLE = routes.SampleEvent(host_id="web-1", kind="backup_failed")

CASES = [
    Case(
        "notify",
        lambda c: c.create_route(ROUTE, position=2),
        "CreateRoute",
        routes.CreateRouteRequest(route=ROUTE, position=2),
        routes.CreateRouteResponse(route=ROUTE),
        ROUTE,
    ),
    Case(
        "notify",
        lambda c: c.get_route(ID),
        "GetRoute",
        routes.GetRouteRequest(route_id=ID),
        routes.GetRouteResponse(route=ROUTE),
        ROUTE,
    ),
    Case(
        "notify",
        lambda c: c.list_routes(),
        "ListRoutes",
        routes.ListRoutesRequest(),
        routes.ListRoutesResponse(routes=[ROUTE], default_route_applies=True),
    ),
    Case(
        "notify",
        lambda c: c.update_route(ROUTE),
        "UpdateRoute",
        routes.UpdateRouteRequest(route=ROUTE),
        routes.UpdateRouteResponse(route=ROUTE),
        ROUTE,
    ),
    Case(
        "notify",
        lambda c: c.delete_route(ID),
        "DeleteRoute",
        routes.DeleteRouteRequest(route_id=ID),
        routes.DeleteRouteResponse(default_route_applies=True),
    ),
    Case(
        "notify",
        lambda c: c.reorder_routes([ID, OTHER]),
        "ReorderRoutes",
        routes.ReorderRoutesRequest(route_ids=[ID, OTHER]),
        routes.ReorderRoutesResponse(routes=[ROUTE]),
        [ROUTE],
    ),
    Case(
        "notify",
        lambda c: c.simulate_routes(sample=SAMPLE, routes=[ROUTE]),
        "SimulateRoutes",
        routes.SimulateRoutesRequest(sample=SAMPLE, routes=[ROUTE]),
        routes.SimulateRoutesResponse(event_count=1),
    ),
    Case(
        "notify",
        lambda c: c.simulate_routes(days=7),
        "SimulateRoutes",
        routes.SimulateRoutesRequest(days=7),
        routes.SimulateRoutesResponse(event_count=1),
    ),
    Case(
        "notify",
        lambda c: c.create_silence(SILENCE, force=True, dry_run=True, request_id="r"),
        "CreateSilence",
        silences.CreateSilenceRequest(silence=SILENCE, force=True, dry_run=True, request_id="r"),
        silences.CreateSilenceResponse(silence=SILENCE),
    ),
    Case(
        "notify",
        lambda c: c.get_silence(ID),
        "GetSilence",
        silences.GetSilenceRequest(silence_id=ID),
        silences.GetSilenceResponse(silence=SILENCE),
    ),
    Case(
        "notify",
        lambda c: c.list_silences(include_expired=True, page_size=3),
        "ListSilences",
        silences.ListSilencesRequest(include_expired=True, page_size=3),
        silences.ListSilencesResponse(silences=[SILENCE]),
        [SILENCE],
    ),
    Case(
        "notify",
        lambda c: c.expire_silence(ID),
        "ExpireSilence",
        silences.ExpireSilenceRequest(silence_id=ID),
        silences.ExpireSilenceResponse(silence=SILENCE, changed=True),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=[case.method for case in CASES])
async def test_a_method_sends_what_was_given_and_returns_what_was_answered(
    case: Case, script: ScriptedAnswers, caller: Caller
) -> None:
    script.answers[case.method].append(case.answer)
    returned = await caller(case.client, case.call)
    (request,) = script.sent(case.method)
    assert case.sent == type(case.sent).FromString(request)
    assert case.expected == returned


async def test_a_silence_is_tried_again_under_the_same_request_id(
    script: ScriptedAnswers, caller: Caller
) -> None:
    answer = silences.CreateSilenceResponse(silence=SILENCE)
    script.answers["CreateSilence"].extend([common.UnavailableError("away"), answer])
    await caller("notify", lambda c: c.create_silence(SILENCE))
    first, second = (
        silences.CreateSilenceRequest.FromString(each).request_id
        for each in script.sent("CreateSilence")
    )
    assert first == second != ""


async def test_what_is_not_idempotent_is_tried_once(
    script: ScriptedAnswers, caller: Caller
) -> None:
    script.answers["CreateRoute"].append(common.UnavailableError("away"))
    script.answers["UpdateRoute"].append(common.UnavailableError("away"))
    with pytest.raises(UnavailableError):
        await caller("notify", lambda c: c.create_route(ROUTE))
    with pytest.raises(UnavailableError):
        await caller("notify", lambda c: c.update_route(Route(route_id=ID, version=3)))
    assert (1, 1) == (len(script.sent("CreateRoute")), len(script.sent("UpdateRoute")))


def test_a_simulation_takes_a_sample_or_days() -> None:
    for given in ({}, {"sample": SAMPLE, "days": 1}):
        with pytest.raises(ValueError, match="give one of them"):
            steering_requests.simulate_routes(**given)  # type: ignore[arg-type]  # two types


def test_both_clients_have_the_same_methods() -> None:
    def public(client: type[Any]) -> set[str]:
        return {name for name in dir(client) if not name.startswith("_")}

    assert public(SyncNotifyClient) == public(NotifyClient)
