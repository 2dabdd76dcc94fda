"""What holds the watchers against the log: it notices each way in which a stream can be wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from support.alert_stubs import acknowledged, an_alert, an_event, resolved
from support.restless_watchers import Seen, Stretch
from support.watch_ground import Witness, standing
from tocsin.api.alert.v1.event_pb2 import AlertEvent

if TYPE_CHECKING:
    from collections.abc import Sequence

ACKNOWLEDGED, RESOLVED = 4, 6
WEB, DB = frozenset({"web-1"}), frozenset({"db-1"})
LOG = [
    an_event(1, an_alert(1)),
    an_event(2, an_alert(2, host_id="db-1")),
    an_event(3, acknowledged(1), ACKNOWLEDGED),
    an_event(4, resolved(2, host_id="db-1"), RESOLVED),
    an_event(5, resolved(1), RESOLVED),
]


def bare(event: AlertEvent) -> AlertEvent:
    copy = AlertEvent.FromString(event.SerializeToString())
    copy.ClearField("position")
    return copy


def witness(revisions: Sequence[int] = (1, 2, 3, 4, 5)) -> Witness:
    nowhere = cast("Any", None)
    return Witness(nowhere, list(revisions), [bare(LOG[each - 1]) for each in revisions])


def stretch(
    after: int,
    through: int,
    *revisions: int,
    hosts: frozenset[str] = frozenset(),
) -> Stretch:
    events = tuple(LOG[each - 1] for each in revisions)
    return Stretch(after, through, hosts, events, is_bookmarked=not events)


def violations(*stretches: Stretch, **seen: Any) -> list[str]:
    found = Seen(stretches=list(stretches), **seen)
    found.check(witness())
    return found.violations


RIGHT = {
    "all of it": stretch(0, 5, 1, 2, 3, 4, 5),
    "a part": stretch(1, 3, 2, 3),
    "those of one host": stretch(0, 5, 1, 3, 5, hosts=WEB),
    "a position further than the last event wanted": stretch(1, 5, 2, 4, hosts=DB),
    "a bookmark where nothing new is": stretch(5, 5),
    "a bookmark over what others wanted": stretch(2, 3, hosts=DB),
}
WRONG = {
    "one is missing": stretch(0, 3, 1, 3),
    "one of the host is missing": stretch(0, 5, 1, 5, hosts=WEB),
    "one came twice": stretch(0, 2, 1, 1, 2),
    "one came that was there before": stretch(1, 3, 1, 2, 3),
    "one came that is further than the position": stretch(0, 2, 1, 2, 3),
    "out of order": stretch(0, 3, 2, 1, 3),
    "one of another host": stretch(0, 3, 1, 2, 3, hosts=WEB),
    "a bookmark over an event": stretch(0, 1),
    "a bookmark over an event of the host": stretch(1, 5, hosts=DB),
}


@pytest.mark.parametrize("case", RIGHT)
def test_a_stream_may_bring_that(case: str) -> None:
    assert [] == violations(RIGHT[case])


@pytest.mark.parametrize("case", WRONG)
def test_a_stream_never_brings_that(case: str) -> None:
    assert len(violations(WRONG[case])) == 1


def test_an_event_of_another_content_is_noticed() -> None:
    changed = AlertEvent.FromString(LOG[1].SerializeToString())
    changed.alert.message = "something else"

    assert len(violations(Stretch(1, 2, frozenset(), (changed,), is_bookmarked=False))) == 1


def test_a_log_with_a_gap_is_noticed() -> None:
    seen = Seen()
    seen.check(witness([1, 2, 4, 5]))

    assert ["the log itself has gaps"] == seen.violations


def test_what_is_known_after_a_snapshot_is_what_stood_then() -> None:
    stood = (3, frozenset[str](), standing([acknowledged(1), an_alert(2, host_id="db-1")]))

    assert [] == violations(stood=[stood])
    assert [] == violations(stood=[(3, DB, standing([an_alert(2, host_id="db-1")]))])


@pytest.mark.parametrize("at", [2, 4])
def test_what_is_known_of_another_moment_is_noticed(at: int) -> None:
    stood = (at, frozenset[str](), standing([acknowledged(1), an_alert(2, host_id="db-1")]))

    assert len(violations(stood=[stood])) == 1
