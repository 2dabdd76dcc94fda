from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.alert_stubs import EPOCH, OTHER_EPOCH, an_event
from tocsin.api.alert.v1.alert_service_pb2 import WatchEventsResponse
from tocsin.api.alert.v1.event_pb2 import Position
from tocsin.client.continuity import OutOfStepError, check


def at(revision: int, epoch: str = EPOCH) -> Position:
    return Position(epoch=epoch, revision=revision)


def message(*revisions: int, position: int | None = None) -> WatchEventsResponse:
    end = revisions[-1] if position is None else position
    return WatchEventsResponse(events=[an_event(each) for each in revisions], position=at(end))


@pytest.mark.parametrize(
    ("last", "sent"),
    [
        pytest.param(at(4), message(5), id="the next event"),
        pytest.param(at(4), message(5, 6, 7), id="several events in a row"),
        pytest.param(at(4), message(position=4), id="a bookmark"),
        pytest.param(None, message(9, 10), id="anywhere, when no position was named"),
        pytest.param(None, message(position=9), id="a bookmark anywhere"),
        pytest.param(Position(), message(3, 4), id="the oldest event kept"),
        pytest.param(Position(), message(position=0), id="an empty log"),
    ],
)
def test_what_follows_is_taken(last: Position | None, sent: WatchEventsResponse) -> None:
    check(last, sent, filtered=False)


@pytest.mark.parametrize(
    ("last", "sent"),
    [
        pytest.param(at(4), message(6), id="a gap before"),
        pytest.param(at(4), message(5, 7), id="a gap inside"),
        pytest.param(None, message(5, 7), id="a gap at the beginning"),
        pytest.param(at(4), message(4, 5), id="a repetition"),
        pytest.param(at(4), message(5, 5), id="a repetition inside"),
        pytest.param(at(4), message(3), id="a step back"),
        pytest.param(at(4), message(position=5), id="a bookmark ahead of the events"),
        pytest.param(at(4), message(position=3), id="a bookmark behind"),
        pytest.param(at(4), message(5, position=6), id="a position ahead of the events"),
        pytest.param(at(4), message(5, position=4), id="a position behind the events"),
        pytest.param(at(4, OTHER_EPOCH), message(5), id="another epoch"),
        pytest.param(at(4), WatchEventsResponse(events=[an_event(5)]), id="no position"),
        pytest.param(
            at(4),
            WatchEventsResponse(events=[an_event(5, epoch=OTHER_EPOCH)], position=at(5)),
            id="an event of another epoch",
        ),
    ],
)
def test_what_does_not_follow_is_refused(last: Position | None, sent: WatchEventsResponse) -> None:
    with pytest.raises(OutOfStepError):
        check(last, sent, filtered=False)


@pytest.mark.parametrize(
    ("last", "sent"),
    [
        pytest.param(at(4), message(6, 9), id="gaps"),
        pytest.param(at(4), message(6, position=8), id="a position past the last event"),
        pytest.param(at(4), message(position=9), id="a bookmark ahead"),
        pytest.param(None, message(position=9), id="a bookmark anywhere"),
    ],
)
def test_filters_leave_gaps(last: Position | None, sent: WatchEventsResponse) -> None:
    check(last, sent, filtered=True)


@pytest.mark.parametrize(
    ("last", "sent"),
    [
        pytest.param(at(4), message(4), id="a repetition"),
        pytest.param(at(4), message(6, 5), id="a step back inside"),
        pytest.param(at(4), message(6, position=5), id="a position behind the events"),
        pytest.param(at(4), message(position=3), id="a bookmark behind"),
    ],
)
def test_filters_excuse_no_repetition(last: Position | None, sent: WatchEventsResponse) -> None:
    with pytest.raises(OutOfStepError):
        check(last, sent, filtered=True)


@given(
    st.integers(0, 20),
    st.lists(st.integers(0, 30), max_size=6),
    st.integers(0, 30),
)
def test_without_filters_only_the_very_next_revisions_pass(
    last: int, revisions: list[int], position: int
) -> None:
    expected = list(range(last + 1, last + 1 + len(revisions)))
    follows = revisions == expected and position == last + len(revisions)
    try:
        check(at(last), message(*revisions, position=position), filtered=False)
    except OutOfStepError:
        assert not follows
    else:
        assert follows
