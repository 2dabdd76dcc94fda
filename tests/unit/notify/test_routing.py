"""To which channels an event is addressed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from support.notifications import ALERT, a_notification
from tocsin.notify.domain.decision import DecisionReason
from tocsin.notify.domain.matcher import GroupField, Matcher, MatchField, MatchOperator
from tocsin.notify.domain.notification import Severity
from tocsin.notify.domain.own import KIND_CANARY, KIND_CHANNEL_FAILING, OWN_HOST
from tocsin.notify.domain.route import Address, Route
from tocsin.notify.router.tree import Routing, group_key, group_name, route

CHANNELS = tuple(UUID(int=number) for number in range(1, 6))
ONE, TWO, THREE, *_ = CHANNELS
NEWS = a_notification()


def a_route(number: int, *channel_ids: UUID, kind: str = "", **fields: Any) -> Route:
    matchers = (Matcher(MatchField.KIND, MatchOperator.ANY_OF, (kind,)),) if kind else ()
    return Route(
        route_id=UUID(int=100 + number),
        position=number,
        display_name=f"route {number}",
        enabled=fields.pop("enabled", True),
        matchers=matchers,
        channel_ids=channel_ids,
        **fields,
    )


def told(*addresses: tuple[UUID, Route]) -> Routing:
    return Routing(tuple(Address(channel, one.route_id) for channel, one in addresses), None)


def test_without_routes_every_enabled_channel_is_told() -> None:
    expected = Routing((Address(ONE, None), Address(TWO, None)), None)
    assert expected == route(NEWS, [], {TWO, ONE})


def test_without_routes_and_channels_it_is_the_channels_that_are_missing() -> None:
    assert Routing((), DecisionReason.CHANNEL_OFF) == route(NEWS, [], set())


def test_the_first_route_that_matches_wins() -> None:
    other, first, second = a_route(1, THREE, kind="other"), a_route(2, ONE), a_route(3, TWO)
    assert told((ONE, first)) == route(NEWS, [other, first, second], CHANNELS)


def test_the_next_ones_are_asked_if_the_first_says_so() -> None:
    first = a_route(1, ONE, continue_matching=True)
    second, third = a_route(2, TWO), a_route(3, THREE)
    assert told((ONE, first), (TWO, second)) == route(NEWS, [first, second, third], CHANNELS)


def test_a_channel_that_two_routes_name_is_told_once_by_the_first_of_them() -> None:
    first, second = a_route(1, ONE, continue_matching=True), a_route(2, ONE, TWO)
    assert told((ONE, first), (TWO, second)) == route(NEWS, [first, second], CHANNELS)


def test_what_no_route_matches_is_told_to_nobody() -> None:
    routes = [a_route(1, ONE, kind="other")]
    assert Routing((), DecisionReason.NO_ROUTE) == route(NEWS, routes, CHANNELS)


def test_a_disabled_route_is_not_asked_but_the_default_does_not_return() -> None:
    routes = [a_route(1, ONE, enabled=False)]
    assert Routing((), DecisionReason.NO_ROUTE) == route(NEWS, routes, CHANNELS)


def test_a_route_to_disabled_channels_only_says_that_they_are_off() -> None:
    routes = [a_route(1, ONE, TWO)]
    assert Routing((), DecisionReason.CHANNEL_OFF) == route(NEWS, routes, {THREE})


def test_the_least_severity_is_a_shorthand_for_a_matcher() -> None:
    severe, rest = a_route(1, ONE, min_severity=Severity.CRITICAL), a_route(2, TWO)
    critical = a_notification(alert=replace(ALERT, severity=Severity.CRITICAL))
    assert told((TWO, rest)) == route(NEWS, [severe, rest], CHANNELS)
    assert told((ONE, severe)) == route(critical, [severe, rest], CHANNELS)


def failing(channel_id: UUID) -> Any:
    alert = replace(ALERT, host_id=OWN_HOST, kind=KIND_CHANNEL_FAILING, dedup_key=str(channel_id))
    return a_notification(alert=alert)


def test_that_a_channel_fails_is_told_through_the_others() -> None:
    expected = Routing((Address(TWO, None), Address(THREE, None)), None)
    assert expected == route(failing(ONE), [], {ONE, TWO, THREE})


def test_that_a_channel_fails_goes_where_the_routes_say_but_not_to_itself() -> None:
    one = a_route(1, ONE, TWO)
    assert told((TWO, one)) == route(failing(ONE), [one], CHANNELS)


def test_that_the_only_routed_channel_fails_is_told_to_all_others() -> None:
    routes = [a_route(1, ONE)]
    expected = Routing((Address(TWO, None), Address(THREE, None)), None)
    assert expected == route(failing(ONE), routes, {ONE, TWO, THREE})


def test_that_the_only_channel_fails_is_told_to_nobody() -> None:
    assert Routing((), DecisionReason.OWN_FAILURE) == route(failing(ONE), [], {ONE})


def test_the_canary_goes_to_its_one_channel_whatever_the_routes_say() -> None:
    alert = replace(ALERT, host_id=OWN_HOST, kind=KIND_CANARY, labels={"channel_id": str(TWO)})
    canary, routes = a_notification(alert=alert), [a_route(1, ONE)]
    assert Routing((Address(TWO, None),), None) == route(canary, routes, CHANNELS)
    assert Routing((), DecisionReason.CHANNEL_OFF) == route(canary, routes, {ONE})


def test_another_host_cannot_pass_for_notify_itself() -> None:
    alert = replace(ALERT, host_id="web-1", kind=KIND_CHANNEL_FAILING, dedup_key=str(ONE))
    expected = Routing((Address(ONE, None), Address(TWO, None)), None)
    assert expected == route(a_notification(alert=alert), [], {ONE, TWO})


def test_alerts_that_share_the_named_values_are_one_group_of_their_route() -> None:
    fields = (GroupField(MatchField.HOST_ID), GroupField(MatchField.LABEL, "site"))
    one = a_route(1, ONE, group_wait=timedelta(seconds=30), group_by=fields)
    same = a_notification(alert=replace(ALERT, dedup_key="other"))
    elsewhere = a_notification(alert=replace(ALERT, labels={"site": "Paris"}))

    assert group_key(one, NEWS) == group_key(one, same)
    assert group_key(one, NEWS) != group_key(one, elsewhere)
    assert group_key(one, NEWS) != group_key(replace(one, route_id=UUID(int=9)), NEWS)
    assert "host_id web-1, site Berlin" == group_name(one, NEWS)


def test_values_are_not_run_together_in_a_group() -> None:
    fields = (GroupField(MatchField.HOST_ID), GroupField(MatchField.KIND))
    one = a_route(1, ONE, group_wait=timedelta(seconds=30), group_by=fields)
    left = a_notification(alert=replace(ALERT, host_id="a", kind="bc"))
    right = a_notification(alert=replace(ALERT, host_id="ab", kind="c"))
    assert group_key(one, left) != group_key(one, right)


def test_without_group_wait_there_is_no_group() -> None:
    assert "" == group_key(a_route(1, ONE), NEWS)


def test_a_group_of_the_longest_values_fits_into_an_index() -> None:
    fields = tuple(GroupField(MatchField.LABEL, f"label {number}") for number in range(10))
    labels = {f"label {number}": "\N{FIRE}" * 256 for number in range(10)}
    one = a_route(1, ONE, group_wait=timedelta(seconds=30), group_by=fields)
    key = group_key(one, a_notification(alert=replace(ALERT, labels=labels)))
    assert len(key.encode()) < 100


ROUTES = st.lists(
    st.builds(
        lambda number, channels, kind, goes_on, enabled: a_route(
            number, *channels, kind=kind, continue_matching=goes_on, enabled=enabled
        ),
        st.integers(1, 50),
        st.lists(st.sampled_from(CHANNELS), min_size=1, unique=True),
        st.sampled_from(["", "backup_failed", "other"]),
        st.booleans(),
        st.booleans(),
    ),
    max_size=6,
    unique_by=lambda one: one.route_id,
)


@given(ROUTES, st.sets(st.sampled_from(CHANNELS)))
def test_each_enabled_channel_is_told_at_most_once_and_silence_has_a_reason(
    routes: list[Route], enabled: set[UUID]
) -> None:
    routing = route(NEWS, routes, enabled)
    channels = [address.channel_id for address in routing.addresses]
    assert sorted(set(channels)) == sorted(channels)
    assert set(channels) <= enabled
    assert (routing.missed is None) is bool(channels)


@given(ROUTES, st.sets(st.sampled_from(CHANNELS)))
def test_what_stands_behind_the_route_that_ends_it_changes_nothing(
    routes: list[Route], enabled: set[UUID]
) -> None:
    last = a_route(99, ONE)
    behind = [replace(one, route_id=UUID(int=one.route_id.int + 1_000)) for one in routes]
    assert route(NEWS, [*routes, last], enabled) == route(NEWS, [*routes, last, *behind], enabled)


@given(ROUTES, st.sets(st.sampled_from(CHANNELS), min_size=1))
def test_a_last_route_to_all_channels_leaves_nobody_untold(
    routes: list[Route], enabled: set[UUID]
) -> None:
    going_on = [replace(one, continue_matching=True) for one in routes]
    routing = route(NEWS, [*going_on, a_route(99, *CHANNELS)], enabled)
    assert enabled == {address.channel_id for address in routing.addresses}
