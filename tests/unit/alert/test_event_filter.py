"""Which events a subscriber wants."""

from __future__ import annotations

import pytest

from tocsin.alert.eventlog.filter import EventFilter
from tocsin.alert.eventlog.log import Entry

ENTRY = Entry(1, "host-1", "backup_failed", 2, 6, b"")


@pytest.mark.parametrize(
    "wanted",
    [
        EventFilter(),
        EventFilter(host_ids=frozenset({"host-1", "host-2"})),
        EventFilter(kinds=frozenset({"backup_failed"})),
        EventFilter(min_severity=2),
        EventFilter(types=frozenset({1, 6})),
        EventFilter(frozenset({"host-1"}), frozenset({"backup_failed"}), 1, frozenset({6})),
    ],
)
def test_an_event_that_meets_every_condition_is_wanted(wanted: EventFilter) -> None:
    assert (ENTRY,) == wanted.pick((ENTRY,))


@pytest.mark.parametrize(
    "wanted",
    [
        EventFilter(host_ids=frozenset({"host-2"})),
        EventFilter(kinds=frozenset({"check_failed"})),
        EventFilter(min_severity=3),
        EventFilter(types=frozenset({1})),
        EventFilter(frozenset({"host-1"}), frozenset({"backup_failed"}), 1, frozenset({1})),
    ],
)
def test_an_event_that_fails_one_condition_is_not_wanted(wanted: EventFilter) -> None:
    assert () == wanted.pick((ENTRY,))
