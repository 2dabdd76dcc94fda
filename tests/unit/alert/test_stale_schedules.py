from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from support.clock import START
from tocsin.alert.domain.alert import Severity, Subject
from tocsin.alert.domain.job import JobKind
from tocsin.alert.domain.key import Key
from tocsin.alert.domain.schedule import (
    Cron,
    Interval,
    OnCalendar,
    Recurrence,
    Runs,
    Schedule,
    ScheduleSpec,
)
from tocsin.alert.engine.slots import RecurrenceError
from tocsin.alert.engine.stale_schedules import (
    Expectation,
    StaleReason,
    expect,
    recovered,
    stale_failure,
    stale_key,
)

NIGHTLY = Cron("0 2 * * *")
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def spec(recurrence: Recurrence = NIGHTLY, kind: JobKind = JobKind.BACKUP) -> ScheduleSpec:
    return ScheduleSpec(
        "nightly", "alpha", kind, recurrence, source_group_id="home", repository_id="vault"
    )


def schedule(runs: Runs, of: ScheduleSpec | None = None) -> Schedule:
    return Schedule(of or spec(), create_time=START, update_time=START, runs=runs)


def at(day: int, hour: int = 0, minute: int = 0, second: int = 0) -> datetime:
    return datetime(2026, 1, day, hour, minute, second, tzinfo=UTC)


def finished(time: datetime, anchor: datetime = START) -> Runs:
    return Runs(anchor, last_finish_time=time)


def due(runs: Runs, recurrence: Recurrence = NIGHTLY) -> datetime:
    return expect(spec(recurrence), runs).due_time


def message(runs: Runs, of: ScheduleSpec | None = None) -> str:
    stale = schedule(runs, of)
    return stale_failure(stale, expect(stale.spec, runs)).message


def recovery(before: Runs, finish: datetime, of: ScheduleSpec | None = None) -> str:
    return recovered(schedule(before, of), before, finish, finish + HOUR).message


def test_a_first_run_that_does_not_come_is_stale_by_its_grace() -> None:
    expected = Expectation(at(1, 2), at(1, 2, 15), StaleReason.FIRST_RUN_MISSED)

    assert expected == expect(spec(), Runs(START))


def test_a_run_that_does_not_come_is_stale_by_its_grace() -> None:
    expected = Expectation(at(2, 2), at(2, 2, 15), StaleReason.MISSED)

    assert expected == expect(spec(), finished(at(1, 2, 10)))


def test_a_run_that_started_and_does_not_finish_is_stale_by_its_duration() -> None:
    runs = Runs(START, last_finish_time=at(1, 2, 10), unfinished_start_time=at(2, 2))
    patient = replace(spec(), max_duration=3 * HOUR)

    expected = Expectation(at(2, 2), at(2, 5), StaleReason.NEVER_FINISHED)

    assert expected == expect(patient, runs)


def test_a_first_run_that_started_and_does_not_finish_is_told_as_such() -> None:
    runs = Runs(START, unfinished_start_time=at(1, 2))

    assert Expectation(at(1, 2), at(2, 2), StaleReason.NEVER_FINISHED) == expect(spec(), runs)


def test_a_run_that_has_started_may_take_longer_than_the_grace() -> None:
    started = Runs(START, last_finish_time=at(1, 2, 10), unfinished_start_time=at(2, 2, 5))

    assert at(2, 2, 15) < expect(spec(), started).deadline_time


def test_grace_is_added_in_utc() -> None:
    berlin = replace(spec(Cron("30 1 * * *", "Europe/Berlin")), grace=2 * HOUR)
    night = datetime(2026, 3, 29, tzinfo=UTC)  # 02:00 becomes 03:00 at 01:00 UTC

    expectation = expect(berlin, finished(night - DAY + HOUR))

    assert night + 30 * MINUTE == expectation.due_time
    assert night + 30 * MINUTE + 2 * HOUR == expectation.deadline_time


def test_what_was_due_up_to_the_anchor_is_not_asked_for() -> None:
    assert at(6, 2) == due(finished(at(1, 2, 10), anchor=at(5, 2)))
    assert at(5, 2) == due(finished(at(1, 2, 10), anchor=at(5, 1, 59, 59)))


def test_a_slot_shortly_after_the_anchor_is_asked_for() -> None:
    assert at(1, 2) == due(Runs(at(1, 1, 59, 59)))


def test_a_late_run_covers_all_that_was_due_before_its_end() -> None:
    assert at(5, 2) == due(finished(at(4, 14)))


def test_a_run_that_ends_at_the_slot_covers_it() -> None:
    assert at(3, 2) == due(finished(at(2, 2)))


@pytest.mark.parametrize(
    ("before", "covers"),
    [
        (timedelta(seconds=1), True),
        (5 * MINUTE, True),
        (5 * MINUTE + timedelta(microseconds=1), False),
    ],
)
def test_a_run_that_ends_up_to_five_minutes_early_covers_the_slot(
    before: timedelta, covers: bool
) -> None:
    assert (at(3, 2) if covers else at(2, 2)) == due(finished(at(2, 2) - before))


@pytest.mark.parametrize(
    ("minute", "second", "expected"),
    [
        (0, 0, at(1, 3, 4)),
        (1, 59, at(1, 3, 4)),
        (2, 0, at(1, 3, 8)),
        (3, 59, at(1, 3, 8)),
        (4, 0, at(1, 3, 8)),
    ],
)
def test_an_early_run_covers_the_slot_only_if_it_is_no_nearer_to_the_one_before(
    minute: int, second: int, expected: datetime
) -> None:
    assert expected == due(finished(at(1, 3, minute, second)), Cron("*/4 * * * *"))


def test_the_slot_before_may_lie_closer_than_that_after() -> None:
    uneven = Cron("0,2 2 * * *")

    assert at(2, 2, 2) == due(finished(at(2, 2, 0, 59)), uneven)
    assert at(3, 2) == due(finished(at(2, 2, 1)), uneven)
    assert at(2, 2, 2) == due(finished(at(2, 1, 55)), uneven)


def test_an_interval_counts_from_the_end_of_the_run_before() -> None:
    every_six_hours = spec(Interval(6 * HOUR))

    expected = Expectation(at(2, 9, 1), at(2, 9, 16), StaleReason.MISSED)

    assert expected == expect(every_six_hours, finished(at(2, 3, 1)))


def test_an_interval_counts_from_the_anchor_as_long_as_nothing_ran_since() -> None:
    six_hours = Interval(6 * HOUR)

    assert START + 6 * HOUR == due(Runs(START), six_hours)
    assert at(5, 6) == due(finished(at(2, 3, 1), anchor=at(5)), six_hours)


def test_a_calendar_event_is_waited_for_like_cron() -> None:
    weekly = OnCalendar("Mon 02:30", "Europe/Berlin")

    assert at(5, 1, 30) == due(Runs(START), weekly)


def test_times_that_cannot_be_computed_are_refused() -> None:
    with pytest.raises(RecurrenceError):
        expect(spec(Cron("0 2 * * *", "Mars/Olympus")), Runs(START))


@pytest.mark.parametrize(
    ("runs", "reason"),
    [
        (Runs(START), StaleReason.FIRST_RUN_MISSED),
        (finished(at(1, 2, 10)), StaleReason.MISSED),
        (Runs(START, unfinished_start_time=at(1, 2)), StaleReason.NEVER_FINISHED),
    ],
)
def test_a_deadline_that_passes_is_observed_at_that_very_deadline(
    runs: Runs, reason: StaleReason
) -> None:
    expectation = expect(spec(), runs)

    failure = stale_failure(schedule(runs), expectation)

    assert expectation.deadline_time == failure.observe_time
    assert Key("alpha", "stale_schedule", "nightly") == failure.key == stale_key(spec())
    assert Severity.WARNING == failure.severity
    assert Subject("home", "vault", "nightly") == failure.subject
    assert reason.value == failure.cause


def test_the_alert_says_what_was_due_and_when_it_last_came() -> None:
    assert (
        "The backup due at 2026-01-02 02:00 UTC did not come by 2026-01-02 02:15 UTC. The last one "
        "finished at 2026-01-01 02:10 UTC."
    ) == message(finished(at(1, 2, 10)))


def test_the_alert_says_that_a_first_run_never_came() -> None:
    assert (
        "The first check, due at 2026-01-01 02:00 UTC, did not come by 2026-01-01 02:15 UTC. No "
        "run of this schedule ever finished."
    ) == message(Runs(START), spec(kind=JobKind.CHECK))


def test_the_alert_says_which_run_did_not_finish() -> None:
    runs = Runs(START, last_finish_time=at(1, 2, 10), unfinished_start_time=at(2, 2, 1))

    assert (
        "The backup that started at 2026-01-02 02:01 UTC did not finish by 2026-01-03 02:01 UTC. "
        "The last one finished at 2026-01-01 02:10 UTC."
    ) == message(runs)


def test_the_recovery_tells_how_many_runs_were_missed_and_how_long_there_was_none() -> None:
    assert (
        "A backup finished at 2026-01-04 14:00 UTC. 3 runs missed or late. The data went 3 d 11 h "
        "without."
    ) == recovery(finished(at(1, 2, 10)), at(4, 14))


def test_the_recovery_is_observed_by_the_servers_clock() -> None:
    before = finished(at(1, 2, 10))

    success = recovered(schedule(before), before, at(2, 4), at(3, 12))

    assert at(3, 12) == success.observe_time
    assert stale_key(spec()) == success.key


def test_a_run_whose_grace_has_not_passed_is_not_called_missed() -> None:
    assert "2 runs missed or late." in recovery(finished(at(1, 2, 10)), at(4, 2, 14))
    assert "3 runs missed or late." in recovery(finished(at(1, 2, 10)), at(4, 2, 15))


def test_one_run_that_comes_late_is_one() -> None:
    assert "1 run missed or late." in recovery(finished(at(1, 2, 10)), at(2, 2, 40))


def test_a_run_that_took_too_long_has_missed_none_that_was_due_since() -> None:
    before = Runs(START, last_finish_time=at(1, 2, 10), unfinished_start_time=at(1, 14))

    assert (
        "A backup finished at 2026-01-01 20:00 UTC. The data went 17 h 50 min without."
    ) == recovery(before, at(1, 20))


def test_a_first_run_that_comes_late_is_counted_from_the_creation() -> None:
    assert (
        "A prune finished at 2026-01-03 05:00 UTC. 3 runs missed or late. The repository went 2 d "
        "5 h without."
    ) == recovery(Runs(START), at(3, 5), spec(kind=JobKind.PRUNE))


def test_runs_missed_before_the_anchor_are_not_counted() -> None:
    before = finished(at(1, 2, 10), anchor=at(10))

    assert "2 runs missed or late. The data went 10 d 2 h without." in recovery(before, at(11, 5))


@pytest.mark.parametrize(
    ("finish", "expected"),
    [
        (at(1, 8, 24, 59), ""),
        (at(1, 8, 25), "1 run missed"),
        (at(1, 14, 24), "1 run missed"),
        (at(1, 14, 25), "2 runs missed"),
        (at(2, 8, 25), "5 runs missed"),
    ],
)
def test_runs_of_an_interval_are_missed_once_in_its_length(finish: datetime, expected: str) -> None:
    text = recovery(finished(at(1, 2, 10)), finish, spec(Interval(6 * HOUR)))

    assert expected in text
    assert bool(expected) == ("missed" in text)


def test_runs_are_counted_up_to_a_thousand() -> None:
    text = recovery(finished(at(1, 2, 10)), at(20, 2), spec(Cron("* * * * *")))

    assert "At least 1000 runs missed or late." in text
