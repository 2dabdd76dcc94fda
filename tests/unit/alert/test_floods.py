"""What a host fails with beyond its limit of open alerts is counted by one alert."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.observed import ORCHESTRATOR, at, failure, success
from tocsin.alert.domain.alert import Severity
from tocsin.alert.domain.key import Key
from tocsin.alert.domain.outcome import ClearOutcome, RaiseOutcome
from tocsin.alert.engine.floods import PASSING, counted, end_of_flood, flood_key
from tocsin.alert.engine.heartbeats import offline_key
from tocsin.alert.engine.transitions import KeyState
from tocsin.alert.ledger.alert_book import AlertBook
from tocsin.alert.ledger.floods import Floods
from tocsin.alert.ledger.table import Table
from tocsin.common.ids import uuid7

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tocsin.alert.domain.alert import Alert

HOSTS = ("flooding", "quiet")
KINDS = ("backup_failed", "agent_offline")
KEYS = [Key(host, kind, str(number)) for host in HOSTS for kind in KINDS for number in range(6)]
FLOOD = flood_key("flooding")
LIMIT = 10


def key(number: int, host: str = "flooding") -> Key:
    return Key(host, "backup_failed", f"group-{number}")


def book(room: int | None, keys: Iterable[Key] = KEYS, minutes: float = 100) -> AlertBook:
    """Return a book with nothing open, in which the flooding host may raise so many alerts."""
    states = {each: KeyState() for each in [*keys, FLOOD]}
    rooms = {} if room is None else {"flooding": room}
    hosts: Table[str, object] = Table({})
    return AlertBook(at(minutes), uuid7, states, {}, hosts, rooms=rooms, open_limit=LIMIT)  # type: ignore[arg-type]  # no host is put


def standing(kept: AlertBook, each: Key) -> Alert:
    alert = kept.standing(each)
    assert alert is not None
    return alert


def test_beyond_the_room_that_is_left_one_alert_counts_the_rest_and_is_the_answer() -> None:
    keys = [key(number) for number in range(5)]
    kept = book(2, keys)

    decisions = [kept.raise_or_touch(failure(key=each), ORCHESTRATOR) for each in keys]

    flood = standing(kept, FLOOD)
    assert 3 == flood.occurrences
    assert [RaiseOutcome.RAISED] * 3 + [RaiseOutcome.TOUCHED] * 2 == [d.outcome for d in decisions]
    assert [flood.alert_id] * 3 == [d.alert.alert_id for d in decisions[2:] if d.alert]
    assert [None] * 3 == [kept.standing(each) for each in keys[2:]]


def test_it_names_the_limit_and_the_latest_key() -> None:
    kept = book(0, [key(1), key(2)])

    for number in (1, 2):
        kept.raise_or_touch(failure(key=key(number)), ORCHESTRATOR)

    message = standing(kept, FLOOD).message
    assert "about 10 open alerts" in message
    assert "fewer than 9 are open" in message
    assert message.endswith("The latest: backup_failed group-2.")


@pytest.mark.parametrize(
    ("severities", "expected"),
    [
        ([Severity.INFO], Severity.WARNING),
        ([Severity.INFO, Severity.CRITICAL, Severity.WARNING], Severity.CRITICAL),
    ],
)
def test_it_is_a_warning_at_least_and_as_bad_as_the_worst(
    severities: list[Severity], expected: Severity
) -> None:
    kept = book(0, map(key, range(3)))

    for number, severity in enumerate(severities):
        kept.raise_or_touch(failure(key=key(number), severity=severity), ORCHESTRATOR)

    assert expected is standing(kept, FLOOD).severity


def test_while_it_stands_nothing_is_raised_though_there_is_room() -> None:
    kept = book(0, [key(1), key(2)])
    kept.raise_or_touch(failure(key=key(1)), ORCHESTRATOR)
    kept.rooms["flooding"] = 5

    kept.raise_or_touch(failure(key=key(2)), ORCHESTRATOR)

    assert 2 == standing(kept, FLOOD).occurrences


def test_what_is_open_is_touched_and_cleared_as_ever() -> None:
    kept = book(1, [key(1)])
    kept.raise_or_touch(failure(0, key=key(1)), ORCHESTRATOR)

    touched = kept.raise_or_touch(failure(1, key=key(1)), ORCHESTRATOR)
    cleared = kept.clear(success(2, key=key(1)), ORCHESTRATOR)

    assert RaiseOutcome.TOUCHED is touched.outcome
    assert ClearOutcome.RESOLVED is cleared.outcome
    assert kept.standing(FLOOD) is None


def test_a_late_failure_is_stale_and_not_counted() -> None:
    kept = book(0, [key(1)])
    kept.clear(success(5, key=key(1)), ORCHESTRATOR)

    late = kept.raise_or_touch(failure(4, key=key(1)), ORCHESTRATOR)

    assert RaiseOutcome.STALE is late.outcome
    assert kept.standing(FLOOD) is None


@pytest.mark.parametrize("kind", sorted(PASSING))
def test_what_others_depend_on_passes(kind: str) -> None:
    passing = Key("flooding", kind, "")
    kept = book(0, [passing])

    raised = kept.raise_or_touch(failure(key=passing), ORCHESTRATOR)

    assert raised.alert is not None
    assert passing == raised.alert.key


def test_a_failure_of_long_ago_is_counted_after_a_flood_that_has_ended() -> None:
    ended = KeyState(cleared_time=at(200))

    seen = counted(failure(0, key=key(1)), ended, LIMIT, at(100))

    assert at(200) == seen.observe_time


observations = st.tuples(
    st.sampled_from(KEYS), st.integers(0, 20), st.sampled_from(list(Severity)), st.booleans()
)


@given(st.integers(0, 8), st.lists(observations, max_size=60))
def test_nothing_is_lost_and_no_more_is_raised_than_there_is_room(
    room: int, observed: list[tuple[Key, int, Severity, bool]]
) -> None:
    """Each failure is raised or touched where it belongs, late, or counted by the flood."""
    limited, free = book(room), book(None)
    seen = late = 0
    for each, minutes, severity, is_failure in observed:
        if not is_failure:
            for kept in (limited, free):
                kept.clear(success(minutes, key=each), ORCHESTRATOR)
            continue
        expected = free.raise_or_touch(failure(minutes, key=each, severity=severity), ORCHESTRATOR)
        decided = limited.raise_or_touch(
            failure(minutes, key=each, severity=severity), ORCHESTRATOR
        )
        seen += 1
        late += decided.outcome is RaiseOutcome.STALE
        assert (decided.outcome is RaiseOutcome.STALE) <= (expected.outcome is RaiseOutcome.STALE)
        if each.host_id == "quiet" or each.kind == "agent_offline":
            assert expected.outcome is decided.outcome
            assert decided.alert is None or each == decided.alert.key

    alerts = limited.changed_alerts.values()
    raised = [a for a in alerts if (a.key.host_id, a.key.kind) == ("flooding", "backup_failed")]
    assert len(raised) <= room
    assert seen - late == sum(alert.occurrences for alert in alerts)
    flood = limited.standing(FLOOD)
    assert flood is None or flood.severity is not Severity.INFO


@given(st.integers(10, 1_000_000))
def test_a_flood_ends_below_nine_tenths_of_the_limit(limit: int) -> None:
    assert 9 * limit <= 10 * end_of_flood(limit) < 9 * limit + 10


def raised_and_resolved(kept: AlertBook, numbers: range, resolved: int = 0) -> None:
    for number in numbers:
        kept.raise_or_touch(failure(key=key(number)), ORCHESTRATOR)
    for number in numbers[:resolved]:
        kept.clear(success(1, key=key(number)), ORCHESTRATOR)


def test_a_batch_that_cannot_flood_a_host_looks_at_no_key() -> None:
    floods = Floods(LIMIT)

    assert {} == floods.rooms_of([key(number) for number in range(5)])


def test_a_batch_that_could_flood_a_host_knows_its_room_and_that_of_no_other() -> None:
    floods = Floods(LIMIT)
    others = [key(number, f"other-{number}") for number in range(20)]

    assert {"flooding": 10} == floods.rooms_of([*map(key, range(11)), *others])


def test_what_was_committed_takes_room_and_what_was_resolved_gives_it_back() -> None:
    floods = Floods(LIMIT)
    kept = book(None, map(key, range(8)))
    raised_and_resolved(kept, range(8), resolved=3)

    floods.committed(kept.events)

    assert {"flooding": 5} == floods.rooms_of([key(number) for number in range(100, 106)])


def test_a_host_is_counted_as_it_comes_nearer_to_its_limit() -> None:
    floods = Floods(100)
    asked: list[int] = []
    count = 0
    floods.wanted = lambda: asked.append(count)
    for count in range(1, 101):
        kept = book(None, [key(count)])
        raised_and_resolved(kept, range(count, count + 1))
        floods.committed(kept.events)
        if asked[-1:] == [count]:
            assert {"flooding"} == floods.watched()
            floods.counted("flooding", count, is_flooded=False)

    assert [12, 34, 50, 62] == asked[:4]
    assert 100 == asked[-1]


def test_what_the_database_holds_counts_for_what_others_raised() -> None:
    floods = Floods(LIMIT)

    floods.counted("flooding", LIMIT, is_flooded=True)

    assert {"flooding": 0} == floods.rooms_of([key(1), key(1, "quiet")])
    assert {"flooding"} == floods.watched()


def test_a_flood_that_stands_is_looked_at_until_it_has_ended() -> None:
    floods = Floods(LIMIT)
    kept = book(0, [key(1)])
    raised_and_resolved(kept, range(1, 2))

    floods.committed(kept.events)
    assert {"flooding": LIMIT} == floods.rooms_of([key(2)])

    floods.counted("flooding", 0, is_flooded=False)
    assert {} == floods.rooms_of([key(2)])
    assert set() == floods.watched()


def test_hosts_that_are_far_from_their_limit_are_forgotten_when_there_are_very_many() -> None:
    floods = Floods(LIMIT)
    for number in range(100_001):
        floods.counted(f"host-{number}", 1, is_flooded=False)
    floods.counted("flooding", 9, is_flooded=False)

    floods.forget()

    assert {"flooding": 1} == floods.rooms_of([key(1), key(2), key(1, "host-7")])


def test_silence_is_told_of_a_flooded_host() -> None:
    silent = offline_key("flooding")
    kept = book(0, [silent])

    kept.raise_or_touch(failure(key=silent), ORCHESTRATOR)

    assert silent == standing(kept, silent).key
