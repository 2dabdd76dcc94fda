"""What a far side was told, held against what happened: the contract of delivery, from outside."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from support.receiver import Received


@dataclass(frozen=True, slots=True)
class Happened:
    """One event of an alert, as the alert service committed it."""

    alert_id: str
    revision: int
    is_end: bool


@dataclass(frozen=True, slots=True)
class Told:
    """One telling that arrived. `type` is in lower case, as it was told."""

    alert_id: str
    event_id: str
    type: str
    revision: int
    stands_for: int = 1


def told_by_webhook(requests: Iterable[Received]) -> list[Told]:
    """Read what a webhook received, in its order; messages of notify's own are left out."""
    bodies = (request.json for request in requests)
    return [
        Told(
            body["data"]["alert"]["alert_id"],
            body["id"],
            body["type"].rpartition(".")[2],
            body["data"]["position"]["revision"],
            body["data"]["collapsed_count"] + 1,
        )
        for body in bodies
        if body["type"].startswith("alert.")
    ]


def broken_promises(happened: Iterable[Happened], told: Sequence[Told]) -> list[str]:
    """Return what is wrong with what one channel was told, once nothing waits any more.

    It was there from the beginning, heard of every alert, and nothing was given up. What it hears
    first need not be a beginning: one that may have reached it may have been lost as well.
    """
    events, tellings = defaultdict(list), defaultdict(list)
    for event in happened:
        events[event.alert_id].append(event)
    for each in told:
        tellings[each.alert_id].append(each)
    strangers = [f"{alert_id}: never happened" for alert_id in tellings.keys() - events.keys()]
    wrong = [
        f"{alert_id}: {problem}: {[(each.revision, each.type) for each in tellings[alert_id]]}"
        for alert_id in events
        for problem in _problems(events[alert_id], tellings[alert_id])
    ]
    return [*strangers, *_changed_ids(told), *wrong]


def _changed_ids(told: Sequence[Told]) -> list[str]:
    by_id = defaultdict(set)
    for each in told:
        by_id[each.event_id].add((each.alert_id, each.type, each.revision))
    return [f"{event_id}: told as {seen}" for event_id, seen in by_id.items() if len(seen) > 1]


def _problems(events: Sequence[Happened], told: Sequence[Told]) -> list[str]:
    last = events[-1]
    if not told:
        return [] if last.is_end else ["it is still wrong, and was never told"]
    firsts = list({each.event_id: each for each in reversed(told)}.values())[::-1]
    ends = [place for place, each in enumerate(told) if each.type == "resolved"]
    raised = {each.event_id for each in told if each.type == "raised"}
    revisions = [each.revision for each in firsts]
    found = {
        "out of order": revisions != sorted(revisions),
        "something after the end": bool(ends) and told[ends[0]].type != told[-1].type,
        "raised twice": len(raised) > 1,
        "the last word is missing": firsts[-1].revision != last.revision,
        "something stands for nothing": sum(each.stands_for for each in firsts) < len(events),
    }
    return [problem for problem, is_so in found.items() if is_so]
