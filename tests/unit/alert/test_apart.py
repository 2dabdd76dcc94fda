"""What may be written at the same moment concerns different hosts, and is taken in its order."""

from __future__ import annotations

from typing import TYPE_CHECKING
from unittest.mock import Mock
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from support.ledgers import clearing, raising
from support.observed import failure, success
from tocsin.alert.domain.key import Key
from tocsin.alert.engine.stale_schedules import STALE_SCHEDULE
from tocsin.alert.ledger.apart import hosts_of, hosts_to_leave, split
from tocsin.alert.ledger.call import Entry
from tocsin.alert.ledger.commands import Lapse

if TYPE_CHECKING:
    from tocsin.alert.ledger.commands import Command

HOSTS = st.sampled_from(["a", "b", "c", "d", "e", "f"])


def raised(host_id: str) -> Entry:
    return entry(raising(failure(0, key=Key(host_id, "backup_failed", ""))))


def cleared(host_id: str, kind: str = "backup_failed") -> Entry:
    return entry(clearing(success(0, key=Key(host_id, kind, "nightly"))))


def entry(command: Command) -> Entry:
    return Entry(Mock(), 0, command)


def are_apart(some: list[Entry], others: list[Entry]) -> bool:
    """Whether all are reports, and none of some is of a host of the others."""
    hosts, of_others = hosts_of(some), hosts_of(others)
    return hosts is not None and of_others is not None and not hosts & of_others


REPORTS = st.one_of(HOSTS.map(raised), HOSTS.map(cleared))
OTHERS = st.sampled_from([entry(Lapse(UUID(int=1))), cleared("a", STALE_SCHEDULE)])
ENTRIES = st.lists(st.one_of(*[REPORTS] * 9, OTHERS), max_size=12)


@given(ENTRIES, ENTRIES, st.integers(1, 12))
def test_what_is_found_apart_are_the_reports_of_other_hosts_up_to_what_is_no_report(
    entries: list[Entry], at_work: list[Entry], most: int
) -> None:
    found = split(entries, hosts_of(at_work), most)

    count = len(found.apart) + len(found.left)
    looked_at, following = entries[:count], entries[count : count + 1]
    assert [each for each in looked_at if are_apart([each], at_work)] == found.apart
    assert [each for each in looked_at if not are_apart([each], at_work)] == found.left
    assert hosts_of(looked_at) is not None
    assert (
        not following
        or hosts_of(following) is None
        or hosts_of(at_work) is None
        or most == len(found.apart)
    )


@given(ENTRIES, st.integers(1, 6))
def test_the_hosts_to_leave_are_no_more_than_half_and_worth_it(
    entries: list[Entry], least: int
) -> None:
    others = hosts_to_leave(entries, least)

    if others:
        first, left = split(entries, others, len(entries))
        assert len(entries) == len(first) + len(left)
        assert least <= len(left) <= len(first)
        assert are_apart(first, left)


def test_a_batch_of_two_hosts_is_shared_between_them_and_one_of_a_single_host_is_not() -> None:
    of_two = [raised("a"), raised("b"), cleared("a"), raised("b")]
    of_one = [raised("a"), cleared("a"), raised("a"), raised("a")]

    assert {"b"} == hosts_to_leave(of_two, 2)
    assert set() == hosts_to_leave(of_two, 3)
    assert set() == hosts_to_leave(of_one, 1)


def test_nothing_is_apart_from_what_may_concern_any_host() -> None:
    silent_schedule = cleared("a", STALE_SCHEDULE)

    assert hosts_of([raised("a"), silent_schedule]) is None
    assert ([], []) == split([raised("b")], hosts_of([silent_schedule]), 9)
    assert set() == hosts_to_leave([raised("b"), raised("c"), silent_schedule], 1)
