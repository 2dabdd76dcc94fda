"""The lane and the stream as they are measured, without a service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from support.eventlog import entries
from tocsin.alert.eventlog.broadcast import Broadcast
from tocsin.alert.ledger.call import Call, Entry
from tocsin.alert.telemetry.lane import COMMANDS, COMMIT, QUEUE, LaneMeasures
from tocsin.alert.telemetry.stream import LAG, SUBSCRIBERS, StreamMeasures
from tocsin.common.errors import InvalidArgumentError, UnavailableError
from tocsin.common.telemetry.measures import Histogram

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tocsin.common.telemetry.measures import Family, Reading


class Raise:
    """Stands for a command."""


class Clear:
    """Stands for another one."""


def values(readings: Iterable[Reading], family: Family) -> dict[tuple[str, ...], Any]:
    return {each.labels: each.value for each in readings if each.family is family}


async def test_commands_are_counted_by_what_became_of_them() -> None:
    commands: list[Any] = [Raise(), Raise(), Raise(), Clear()]
    results: list[Any] = ["raised", UnavailableError("away"), "touched", InvalidArgumentError("no")]
    call = Call(len(commands))
    batch = [Entry(call, place, command) for place, command in enumerate(commands)]
    for entry, result in zip(batch, results, strict=True):
        entry.settle(result)
    lane = LaneMeasures()
    lane.wrote(batch, 0.02)
    lane.wrote([], 0.5)  # all of its callers had gone

    assert {
        ("Raise", "OK"): 2,
        ("Raise", "DATABASE_UNAVAILABLE"): 1,
        ("Clear", "INVALID_FIELD"): 1,
    } == values(lane.readings(), COMMANDS)
    commits = values(lane.readings(), COMMIT)[()]
    assert isinstance(commits, Histogram)
    assert 1 == commits.count


def test_the_queue_is_read_when_it_is_asked_for() -> None:
    lane = LaneMeasures()
    assert {(): 0} == values(lane.readings(), QUEUE)

    lane.waiting = lambda: 7
    assert {(): 7} == values(lane.readings(), QUEUE)


async def test_the_lag_is_that_of_the_subscriber_furthest_behind() -> None:
    broadcast = Broadcast()
    broadcast.open(UUID(int=1), 0)
    measures = StreamMeasures(broadcast)
    with broadcast.subscribed() as slow, broadcast.subscribed() as quick, broadcast.subscribed():
        slow.revision, quick.revision = 2, 9
        broadcast.publish(entries(1, 10))
        assert {(): 8} == values(measures.readings(), LAG)
        assert {(): 3} == values(measures.readings(), SUBSCRIBERS)

    assert {(): 0} == values(measures.readings(), LAG)
    assert {(): 0} == values(measures.readings(), SUBSCRIBERS)
