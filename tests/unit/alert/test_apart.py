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
from tocsin.alert.ledger.apart import count_apart, count_until_half, hosts_of
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


@given(ENTRIES, ENTRIES)
def test_what_is_apart_are_the_reports_before_the_first_that_is_not(
    entries: list[Entry], at_work: list[Entry]
) -> None:
    count = count_apart(entries, hosts_of(at_work))

    assert all(are_apart([each], at_work) for each in entries[:count])
    assert not any(are_apart([each], at_work) for each in entries[count : count + 1])


@given(ENTRIES)
def test_the_halves_of_a_batch_are_apart_or_it_is_not_halved(entries: list[Entry]) -> None:
    count = count_until_half(entries)

    assert count in {len(entries) // 2, len(entries)}
    assert count == len(entries) or are_apart(entries[:count], entries[count:])


def test_a_batch_of_two_hosts_is_halved_between_them_and_one_of_a_single_host_is_not() -> None:
    of_two = [raised("a"), cleared("a"), raised("b"), raised("b")]
    of_one = [raised("a"), cleared("a"), raised("a"), raised("a")]

    assert 2 == count_until_half(of_two)
    assert 4 == count_until_half(of_one)


def test_nothing_is_apart_from_what_may_concern_any_host() -> None:
    silent_schedule = cleared("a", STALE_SCHEDULE)

    assert hosts_of([raised("a"), silent_schedule]) is None
    assert 0 == count_apart([raised("b")], hosts_of([silent_schedule]))
    assert 1 == count_apart([raised("b"), silent_schedule], hosts_of([raised("a")]))
