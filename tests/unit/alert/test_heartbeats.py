"""When a host that is not heard of counts as offline."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import permutations

import pytest

from support.observed import at
from tocsin.alert.domain.alert import Severity
from tocsin.alert.domain.host import Host, HostSpec, Profile, Signs
from tocsin.alert.domain.key import Key
from tocsin.alert.engine import heartbeats
from tocsin.alert.engine.heartbeats import FLOOR

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
OFFLINE = Key("host-a", "agent_offline", "")


def host(
    profile: Profile = Profile.SERVER,
    *,
    offline_after: timedelta | None = None,
    heard: float | None = None,
    beats: bool = False,
    retire_time: datetime | None = None,
) -> Host:
    """Return a host put at 0, changed at 10 and last heard so many minutes after the start."""
    last = None if heard is None else at(heard)
    return Host(
        HostSpec("host-a", "", {}, profile, offline_after),
        create_time=at(0),
        update_time=at(10),
        retire_time=retire_time,
        signs=Signs(last, last if beats else None),
    )


def test_a_server_may_be_silent_for_its_own_time() -> None:
    assert at(90) == heartbeats.offline_at(host(offline_after=HOUR, heard=30), None)


@pytest.mark.parametrize("heard", [None, -500.0, 5.0])
def test_silence_does_not_count_from_before_the_host_was_put_or_changed(
    heard: float | None,
) -> None:
    assert at(70) == heartbeats.offline_at(host(offline_after=HOUR, heard=heard), None)


def test_no_host_is_offline_after_less_than_15_minutes() -> None:
    minute = timedelta(minutes=1)

    assert at(45) == heartbeats.offline_at(host(offline_after=minute, heard=30), None)
    assert at(45) == heartbeats.offline_at(host(Profile.LAPTOP, heard=30), minute)


def test_a_server_that_named_no_time_is_offline_after_15_minutes_once_it_sent_a_heartbeat() -> None:
    assert at(30) + FLOOR == heartbeats.offline_at(host(heard=30, beats=True), None)


def test_a_server_that_named_no_time_and_only_reports_is_never_offline() -> None:
    assert heartbeats.offline_at(host(heard=30), None) is None
    assert heartbeats.offline_at(host(), None) is None


def test_a_laptop_is_judged_by_the_shortest_objective_of_its_source_groups() -> None:
    laptop = host(Profile.LAPTOP, offline_after=HOUR, heard=30, beats=True)

    assert at(30) + DAY == heartbeats.offline_at(laptop, DAY)
    assert at(10) + DAY == heartbeats.offline_at(host(Profile.LAPTOP), DAY)


def test_a_laptop_without_an_objective_is_never_offline() -> None:
    assert heartbeats.offline_at(host(Profile.LAPTOP, heard=30, beats=True), None) is None


def test_what_comes_and_goes_is_never_offline() -> None:
    passing = host(Profile.EPHEMERAL, offline_after=HOUR, heard=30, beats=True)

    assert heartbeats.offline_at(passing, DAY) is None


def test_a_retired_host_is_never_offline() -> None:
    retired = host(offline_after=HOUR, heard=30, retire_time=at(40))

    assert heartbeats.offline_at(retired, None) is None


def test_any_sign_of_life_counts_from_its_receipt() -> None:
    signs = heartbeats.heard(Signs(), at(5), None, heartbeat=False)

    assert Signs(last_heard_time=at(5)) == signs


def test_the_first_heartbeat_is_remembered() -> None:
    first = heartbeats.heard(Signs(at(1)), at(5), None, heartbeat=True)
    second = heartbeats.heard(first, at(9), None, heartbeat=True)

    assert Signs(at(9), at(5)) == second


def test_a_report_that_does_not_tell_its_time_leaves_what_is_known_of_the_clock() -> None:
    signs = heartbeats.heard(Signs(skew=HOUR), at(5), None, heartbeat=False)
    corrected = heartbeats.heard(signs, at(6), timedelta(0), heartbeat=False)

    assert (HOUR, timedelta(0)) == (signs.skew, corrected.skew)


def test_signs_of_life_written_in_any_order_leave_the_latest() -> None:
    for order in permutations([(3, HOUR), (5, DAY), (4, -HOUR)]):
        signs = Signs()
        for minutes, skew in order:
            signs = heartbeats.heard(signs, at(minutes), skew, heartbeat=False)
        assert Signs(at(5), None, DAY) == signs


def test_offline_is_raised_at_the_deadline_and_tells_since_when() -> None:
    seen = heartbeats.offline_failure(host(heard=30, offline_after=HOUR), at(90))

    assert (OFFLINE, at(90), Severity.WARNING) == (seen.key, seen.observe_time, seen.severity)
    assert f"The host was last heard of {at(30):%Y-%m-%d %H:%M} UTC." == seen.message


def test_a_host_that_was_never_heard_of_says_so() -> None:
    seen = heartbeats.offline_failure(host(offline_after=HOUR), at(70))
    back = heartbeats.heard_again(host(offline_after=HOUR), Signs(), at(80))

    assert f"The host was never heard of since it was put, {at(0):%Y-%m-%d %H:%M} UTC." == (
        seen.message
    )
    assert f"The host was heard for the first time, {at(80):%Y-%m-%d %H:%M} UTC." == back.message


def test_any_sign_of_life_clears_at_the_servers_now_and_tells_how_long_it_was_silent() -> None:
    seen = heartbeats.heard_again(host(heard=222), Signs(at(30)), at(222))

    assert (OFFLINE, at(222)) == (seen.key, seen.observe_time)
    assert "The host is heard again after 3 h 12 min of silence." == seen.message
