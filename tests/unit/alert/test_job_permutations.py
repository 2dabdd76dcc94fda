"""A history of jobs leaves the same alerts open, in whatever order and how often it is told."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import permutations
from typing import TYPE_CHECKING, Any

from hypothesis import example, given
from hypothesis import strategies as st

from support.backups import finished, job
from support.observed import ALPHA, ANN, ORCHESTRATOR, at
from tocsin.alert.domain.alert import Alert, Severity
from tocsin.alert.domain.job import JobFinished, JobKind, JobResult, StreamState, Summary
from tocsin.alert.domain.key import Key
from tocsin.alert.domain.observation import Failure
from tocsin.alert.engine import job_results, people, transitions
from tocsin.alert.engine.skew import read_clock
from tocsin.alert.engine.transitions import KeyState
from tocsin.common.ids import uuid7

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable

    from tocsin.alert.domain.job import Job, Stream

Open = dict[Key, tuple[Any, ...]]

RECEIVED = at(10_000)
TEXTS = ["", "Fatal: wrong password or no key found", "one\ntwo", "/mnt/a does not exist, skipping"]
SUMMARIES = [None, Summary(), Summary(unreadable_count=2), Summary(files_new=5)]


@dataclass
class Service:
    """What a service remembers that is told of ends, one after the other."""

    streams: dict[Stream, StreamState] = field(default_factory=dict)
    keys: dict[Key, KeyState] = field(default_factory=dict)

    def told(self, ends: Iterable[JobFinished]) -> Service:
        for end in ends:
            self.take(end)
        return self

    def take(self, end: JobFinished) -> None:
        stream, judged = end.job.stream, job_results.judge(end)
        known = job_results.join(self.streams.get(stream, StreamState()), end, judged)
        self.streams[stream] = known
        for seen in job_results.observations(known, end, judged):
            state = self.keys.get(seen.key, KeyState())
            if isinstance(seen, Failure):
                state = transitions.raise_or_touch(state, seen, ORCHESTRATOR, ALPHA, uuid7).state
            else:
                state = transitions.clear(state, seen, ORCHESTRATOR, "Alpha").state
            self.keys[seen.key] = state

    @property
    def open_alerts(self) -> Open:
        return {
            key: told_of(state.standing)
            for key, state in self.keys.items()
            if state.standing is not None
        }


def told_of(alert: Alert) -> tuple[Any, ...]:
    return (
        alert.severity,
        alert.cause,
        alert.message,
        alert.last_seen_time,
        alert.objective_multiple,
    )


def expected(history: list[JobFinished]) -> Open:
    """Return what must stand: for each key its latest failure that no later success made up for."""
    alerts: Open = {}
    judged = [(end, job_results.judge(end)) for end in history]
    for result, key_of in (
        (JobResult.FAILED, job_results.failing_key),
        (JobResult.INCOMPLETE, job_results.incomplete_key),
    ):
        for end, said in judged:
            key = key_of(end.job)
            if said.result is not result or key is None:
                continue
            rest = [(other, how) for other, how in judged if other.job.stream == end.job.stream]
            good = [o.finish_time for o, how in rest if how.result is JobResult.SUCCEEDED]
            bad = [(o.finish_time, o.job.job_id) for o, how in rest if how.result is result]
            is_latest = (end.finish_time, end.job.job_id) == max(bad)
            if is_latest and end.finish_time >= max(good, default=end.finish_time):
                check = end.job.kind is JobKind.CHECK
                severity = Severity.CRITICAL if check else Severity.WARNING
                alerts[key] = (severity, said.cause, said.message, end.finish_time, 0)
    return alerts


# Few times, so that ties are common.
ends = st.builds(
    lambda minutes, result, kind, group, exit_code, text, summary: finished(
        minutes,
        result,
        of=replace(job("", kind, group), source_group_id=group if kind is JobKind.BACKUP else ""),
        exit_code=exit_code,
        error_text=text,
        summary=summary,
    ),
    st.integers(0, 6),
    st.sampled_from(JobResult),
    st.sampled_from([JobKind.BACKUP, JobKind.BACKUP, JobKind.CHECK, JobKind.PRUNE]),
    st.sampled_from(["a", "b"]),
    st.sampled_from([None, 0, 1, 3, 11, 130]),
    st.sampled_from(TEXTS),
    st.sampled_from(SUMMARIES),
)


def named(history: list[JobFinished]) -> list[JobFinished]:
    """Return the ends with ids of their own."""
    return [
        replace(end, job=replace(end.job, job_id=f"job-{place}"))
        for place, end in enumerate(history)
    ]


histories = st.lists(ends, max_size=9).map(named)


@given(histories, st.randoms(use_true_random=False), st.integers(0, 9))
def test_any_permutation_and_duplication_of_a_history_leaves_the_same_alerts_open(
    history: list[JobFinished], chance: random.Random, repeats: int
) -> None:
    in_order = sorted(history, key=lambda end: (end.finish_time, end.job.job_id))
    arrived = [*history, *chance.choices(history, k=repeats)] if history else []
    chance.shuffle(arrived)

    first, second = Service().told(in_order), Service().told(arrived)

    assert expected(history) == first.open_alerts == second.open_alerts
    assert first.streams == second.streams


@given(histories, histories, st.randoms(use_true_random=False))
def test_what_is_told_after_the_history_meets_the_same_keys(
    history: list[JobFinished], future: list[JobFinished], chance: random.Random
) -> None:
    later = [
        replace(
            end,
            job=replace(end.job, job_id=f"later-{end.job.job_id}"),
            finish_time=end.finish_time + timedelta(minutes=3),
        )
        for end in future
    ]
    arrived = list(history)
    chance.shuffle(arrived)

    first, second = Service().told([*history, *later]), Service().told([*arrived, *later])

    assert first.open_alerts == second.open_alerts


@given(
    histories,
    st.sampled_from([timedelta(days=1), -timedelta(hours=1)]),
    st.lists(st.integers(-90_000, 90_000), min_size=9, max_size=9),
)
@example([finished(0), finished(1, JobResult.SUCCEEDED)], timedelta(days=1), [0, 86_400] * 5)
def test_clocks_a_day_ahead_an_hour_behind_or_jumping_leave_the_alerts_of_true_clocks(
    history: list[JobFinished], skew: timedelta, jumps: list[int]
) -> None:
    steady = [seen_through(end, skew) for end in history]
    jumping = [
        seen_through(end, timedelta(seconds=jump))
        for end, jump in zip(history, jumps, strict=False)
    ]

    true = Service().told(history).open_alerts
    assert true == Service().told(steady).open_alerts
    if all(abs(jump) > 30 for jump in jumps[: len(history)]):
        assert true == Service().told(jumping).open_alerts


def seen_through(end: JobFinished, skew: timedelta) -> JobFinished:
    """Return an end as it is understood from a sender whose clock is ahead by so much."""
    reading = read_clock(RECEIVED + skew, RECEIVED)
    return replace(end, finish_time=reading.corrected(end.finish_time + skew))


def test_three_days_of_backups_in_any_order_end_as_if_they_had_come_in_order() -> None:
    results = [JobResult.FAILED, JobResult.SUCCEEDED, JobResult.INCOMPLETE, JobResult.FAILED]
    history = [
        finished(day * 1440, result, exit_code=11 if day else 1)
        for day, result in enumerate(results)
    ]

    outcomes = [Service().told(order).open_alerts for order in permutations(history)]

    assert [expected(history)] * len(outcomes) == outcomes
    assert {"backup_failed", "backup_incomplete"} == {key.kind for key in outcomes[0]}


def test_after_a_resolve_by_hand_a_late_older_failure_stays_down() -> None:
    service = Service().told([finished(5)])
    key = job_results.failing_key(backup())
    alert = service.keys[key].standing
    assert alert is not None
    service.keys[key] = people.resolve(
        service.keys[key], alert, people.Act(ANN, at(60), "", "Alpha")
    ).state

    assert {} == service.told([finished(4)]).open_alerts
    assert [key] == list(service.told([finished(6)]).open_alerts)


def backup() -> Job:
    return job()
