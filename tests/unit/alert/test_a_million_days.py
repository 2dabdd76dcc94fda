"""A million days of schedules: no false stale, and no missed one.

Hundreds of schedules in zones all over the world are followed over 2,500 days each. Their runs
come in time, early, long after a start that was told, or not at all, or start and never end. What
the service would raise and clear is compared with what a judge says who sees the whole history at
once, and who works out in another way when runs were due (see `reference_slots`).
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import TYPE_CHECKING, NamedTuple

import pytest

from support.reference_slots import Plan, reference_slots
from tocsin.alert.domain.job import JobKind
from tocsin.alert.domain.schedule import Cron, OnCalendar, Runs, ScheduleSpec
from tocsin.alert.engine.slots import slot_after
from tocsin.alert.engine.stale_schedules import Expectation, expect
from tocsin.alert.engine.wall_clock import Passage

if TYPE_CHECKING:
    from collections.abc import Iterator

ZONES = [
    "Europe/Berlin",
    "America/New_York",
    "Australia/Sydney",
    "Australia/Lord_Howe",
    "America/Santiago",
    "Europe/Dublin",
    "Africa/Cairo",
    "Asia/Kathmandu",
]
SCHEDULES_PER_ZONE = 50
DAYS = 2_500
BEGIN = datetime(2025, 1, 1, tzinfo=UTC)
END = BEGIN + timedelta(days=DAYS)

MINUTE = timedelta(minutes=1)
NEVER = datetime.max.replace(tzinfo=UTC)

WEEKDAYS = ["MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"]


class Report(NamedTuple):
    """What an agent tells, at the time at which it happens."""

    time: datetime
    is_finish: bool


class Stale(NamedTuple):
    """An alert: when it was raised, and when a run that came cleared it."""

    raise_time: datetime
    clear_time: datetime | None


@dataclass
class Service:
    """Follows a schedule as the service does: report by report, deadline by deadline."""

    spec: ScheduleSpec
    runs: Runs = field(default_factory=lambda: Runs(BEGIN))
    raised_at: datetime | None = None
    told: list[Stale] = field(default_factory=list)
    expected: Expectation = field(init=False)

    def __post_init__(self) -> None:
        self.expected = expect(self.spec, self.runs)

    def pass_deadlines(self, until: datetime) -> None:
        """Do as a sweep: a deadline that is reached raises once, until it is cleared."""
        if self.raised_at is None and self.expected.deadline_time <= until:
            self.raised_at = self.expected.deadline_time

    def take(self, report: Report) -> None:
        self.pass_deadlines(report.time)
        if report.is_finish:
            self.runs = Runs(BEGIN, report.time)
        elif self.runs.unfinished_start_time is None:
            self.runs = replace(self.runs, unfinished_start_time=report.time)
        else:
            return
        self.expected = expect(self.spec, self.runs)
        if report.is_finish and self.raised_at is not None:
            self.told.append(Stale(self.raised_at, report.time))
            self.raised_at = None

    def end(self) -> list[Stale]:
        self.pass_deadlines(END)
        return self.told if self.raised_at is None else [*self.told, Stale(self.raised_at, None)]


def judge(spec: ScheduleSpec, slots: list[datetime], history: list[Report]) -> list[Stale]:
    """Return the alerts of a whole history: at most one from the end of a run to that of the next.

    A run covers all slots up to its end, and the next one when that is at most 5 minutes away and
    no further than the one before.
    """
    finishes = [report.time for report in history if report.is_finish]
    starts = [report.time for report in history if not report.is_finish]
    found = []
    for last, following in zip([None, *finishes], [*finishes, None], strict=True):
        place = bisect_right(slots, last or BEGIN)
        if last is not None and place < len(slots):
            ahead = slots[place] - last
            behind = last - slots[place - 1] if place else timedelta.max
            place += ahead <= min(5 * MINUTE, behind)
        deadline = slots[place] + spec.grace if place < len(slots) else NEVER
        start = bisect_right(starts, last or BEGIN)
        if start < len(starts) and starts[start] < min(following or END, deadline):
            deadline = starts[start] + spec.max_duration
        if deadline <= (following or END):
            found.append(Stale(deadline, following))
    return found


def runs_of(slots: list[datetime], spec: ScheduleSpec, random: Random) -> Iterator[Report]:
    """Yield what happens at each slot: mostly a run that comes in its grace."""
    free = BEGIN
    for place, slot in enumerate(slots):
        gap = min(slots[place + 1] if place + 1 < len(slots) else END, END) - slot
        grace = min(spec.grace, gap)
        match random.choices(["good", "early", "skipped", "killed", "long"], [90, 3, 3, 2, 2])[0]:
            case "good":
                happening = [Report(slot + random.random() * 0.99 * grace, True)]
            case "early":
                happening = [Report(slot - random.random() * 5 * MINUTE, True)]
            case "killed":
                happening = [Report(slot + random.random() * 0.99 * grace, False)]
            case "long":
                start = slot + random.random() * 0.99 * grace
                took = random.random() * 1.5 * spec.max_duration
                happening = [Report(start, False), Report(start + took, True)]
            case _:
                happening = []
        # One run at a time: what would begin within another is left out.
        if happening and free < happening[0].time and happening[-1].time < END:
            yield from happening
            free = happening[-1].time


def plan_of(zone: str, random: Random) -> Plan:
    """Return a recurrence of a random sort: of two, one by night, when the clocks are changed."""
    minute = random.choice([0, 15, 30, 59])
    some_hours = random.sample(random.choice([range(4), range(24)]), random.choice([1, 1, 1, 2]))
    times = tuple(time(hour, minute) for hour in sorted(some_hours))
    hours = ",".join(str(clock.hour) for clock in times)
    weekdays = sorted(random.sample(range(7), random.choice([1, 1, 2, 3])))
    names = ",".join(WEEKDAYS[weekday] for weekday in weekdays)
    month_day = random.choice([1, 15, 28, 31])

    def on_weekdays(day: date) -> bool:
        return day.weekday() in weekdays

    def on_month_day(day: date) -> bool:
        return day.day == month_day

    match random.choice(["daily", "weekly", "weekly", "monthly", "hourly", "calendar", "calendar"]):
        case "daily":
            cron = Cron(f"{minute} {hours} * * *", zone)
            return Plan(cron, times, Passage.CAUGHT_UP)
        case "weekly":
            cron = Cron(f"{minute} {hours} * * {names}", zone)
            return Plan(cron, times, Passage.CAUGHT_UP, on_weekdays)
        case "monthly":
            cron = Cron(f"{minute} {hours} {month_day} * *", zone)
            return Plan(cron, times, Passage.CAUGHT_UP, on_month_day)
        case "hourly":
            step = random.choice([1, 2, 3])
            cron = Cron(f"{minute} */{step} * * {names}", zone)
            clocks = tuple(time(hour, minute) for hour in range(0, 24, step))
            return Plan(cron, clocks, Passage.AS_SHOWN, on_weekdays)
        case _:
            event = OnCalendar(f"{names} {hours}:{minute:02}", zone)
            return Plan(event, times, Passage.FIRST_SHOWN, on_weekdays)


def spec_of(plan: Plan, random: Random) -> ScheduleSpec:
    return ScheduleSpec(
        schedule_id="s",
        host_id="h",
        job_kind=JobKind.BACKUP,
        recurrence=plan.recurrence,
        grace=random.choice([1, 15, 45, 600]) * MINUTE,
        max_duration=random.choice([30, 180, 1440, 4320]) * MINUTE,
    )


@pytest.mark.parametrize("zone", ZONES)
def test_over_a_million_days_nothing_is_called_stale_but_what_is(zone: str) -> None:
    random = Random(zone)
    alerts = 0
    for _ in range(SCHEDULES_PER_ZONE):
        plan = plan_of(zone, random)
        spec = spec_of(plan, random)
        slots = reference_slots(plan, BEGIN + MINUTE, END)
        history = sorted(runs_of(slots, spec, random))
        service = Service(spec)
        for report in history:
            service.take(report)

        expected = judge(spec, slots, history)

        assert expected == service.end(), (plan.recurrence, spec)
        alerts += len(expected)
    assert 100 < alerts


@pytest.mark.parametrize("zone", ZONES)
def test_slots_are_those_that_are_worked_out_in_another_way(zone: str) -> None:
    random = Random(zone)
    for _ in range(SCHEDULES_PER_ZONE // 5):
        plan = plan_of(zone, random)
        expected = reference_slots(plan, BEGIN + MINUTE, END)

        found = [slot_after(plan.recurrence, BEGIN)]
        while found[-1] < expected[-1]:
            found.append(slot_after(plan.recurrence, found[-1]))

        assert expected == found, plan.recurrence


def test_it_was_a_million_days() -> None:
    assert 1_000_000 == len(ZONES) * SCHEDULES_PER_ZONE * DAYS
