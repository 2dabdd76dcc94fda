"""When silences are active, which one holds an alert, and how much they cover."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from support.notifications import ALERT
from tocsin.notify.domain.matcher import Matcher, MatchField, MatchOperator
from tocsin.notify.domain.notification import Severity
from tocsin.notify.domain.own import KIND_CANARY, OWN_HOST
from tocsin.notify.domain.recurrence import Recurrence, RecurrenceForm
from tocsin.notify.domain.silence import Silence
from tocsin.notify.router.coverage import EXAMPLES, covered, too_broad
from tocsin.notify.router.silences import active_until, never_pauses, next_start, silencing

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
WEB = Matcher(MatchField.HOST_ID, MatchOperator.LIKE, ("web-*",))


def a_silence(number: int = 1, *, matchers: tuple[Matcher, ...] = (WEB,), **fields: Any) -> Silence:
    given: dict[str, Any] = {
        "start_time": NOON,
        "end_time": NOON + 2 * HOUR,
        "recurrence": None,
        "duration": None,
    }
    return Silence(
        silence_id=UUID(int=number),
        matchers=matchers,
        author="ann",
        reason="maintenance",
        create_time=NOON,
        created_by="anonymous",
        **{**given, **fields},
    )


def a_window(expression: str, duration: timedelta, **fields: Any) -> Silence:
    recurrence = Recurrence(RecurrenceForm.CRON, expression, "UTC")
    given = {"recurrence": recurrence, "duration": duration, "end_time": None}
    return a_silence(**{**given, **fields})


def test_a_silence_is_active_from_its_start_to_before_its_end() -> None:
    silence = a_silence()
    assert active_until(silence, NOON - timedelta(seconds=1)) is None
    assert NOON + 2 * HOUR == active_until(silence, NOON)
    assert NOON + 2 * HOUR == active_until(silence, NOON + 2 * HOUR - timedelta(seconds=1))
    assert active_until(silence, NOON + 2 * HOUR) is None


def test_a_silence_that_was_ended_is_over() -> None:
    silence = a_silence(expire_time=NOON + HOUR)
    assert NOON + HOUR == active_until(silence, NOON)
    assert active_until(silence, NOON + HOUR) is None


def test_one_that_was_ended_before_it_began_never_begins() -> None:
    silence = a_silence(start_time=NOON + HOUR, expire_time=NOON)
    assert active_until(silence, NOON + HOUR) is None
    assert next_start(silence, NOON) is None


def test_a_window_is_active_after_each_of_its_times() -> None:
    window = a_window("0 14 * * *", 2 * HOUR)
    assert active_until(window, NOON + HOUR) is None
    assert NOON + 4 * HOUR == active_until(window, NOON + 2 * HOUR)
    assert active_until(window, NOON + 4 * HOUR) is None
    assert NOON + 28 * HOUR == active_until(window, NOON + 27 * HOUR)


def test_a_window_that_was_under_way_is_active_from_its_start_on() -> None:
    window = a_window("0 11 * * *", 2 * HOUR)
    assert active_until(window, NOON - timedelta(seconds=1)) is None
    assert NOON + HOUR == active_until(window, NOON)


def test_a_window_ends_with_its_end_and_with_its_expiry() -> None:
    window = a_window("0 14 * * *", 2 * HOUR, end_time=NOON + 3 * HOUR)
    assert NOON + 3 * HOUR == active_until(window, NOON + 2 * HOUR)
    assert active_until(replace(window, expire_time=NOON + HOUR), NOON + 2 * HOUR) is None


def test_times_that_run_into_each_other_are_one() -> None:
    window = a_window("0 14,15 * * *", 2 * HOUR)
    assert NOON + 5 * HOUR == active_until(window, NOON + 2 * HOUR)


def test_the_next_start_is_told_while_it_is_not_active() -> None:
    window = a_window("0 14 * * *", 2 * HOUR)
    assert NOON + 2 * HOUR == next_start(window, NOON)
    assert next_start(window, NOON + 2 * HOUR) is None
    assert NOON + 26 * HOUR == next_start(window, NOON + 4 * HOUR)
    assert next_start(replace(window, end_time=NOON + 5 * HOUR), NOON + 4 * HOUR) is None


def test_the_next_start_of_one_that_begins_later_is_its_first() -> None:
    later = NOON + 24 * HOUR
    assert later == next_start(a_silence(start_time=later, end_time=later + HOUR), NOON)
    assert later + 2 * HOUR == next_start(a_window("0 14 * * *", HOUR, start_time=later), NOON)
    under_way = a_window("0 11 * * *", 2 * HOUR, start_time=later)
    assert later == next_start(under_way, NOON)


@pytest.mark.parametrize(
    ("expression", "duration", "expected"),
    [
        ("0 * * * *", HOUR, True),
        ("*/5 * * * *", timedelta(days=7), True),
        ("0 * * * *", timedelta(minutes=59), False),
        ("0 9 * * mon-fri", timedelta(hours=30), False),
    ],
)
def test_a_window_without_a_pause_is_told_from_others(
    expression: str, duration: timedelta, *, expected: bool
) -> None:
    recurrence = Recurrence(RecurrenceForm.CRON, expression, "UTC")
    assert expected is never_pauses(recurrence, duration, NOON)


def test_the_silence_that_ends_last_holds_an_alert() -> None:
    short, long = a_silence(1), a_silence(2, end_time=NOON + 3 * HOUR)
    other = a_silence(3, matchers=(replace(WEB, values=("db-*",)),), end_time=NOON + 9 * HOUR)
    gone = a_silence(4, end_time=NOON + 9 * HOUR, expire_time=NOON)
    assert (UUID(int=2), NOON + 3 * HOUR) == silencing([short, long, other, gone], ALERT, NOON)
    assert silencing([other, gone], ALERT, NOON) is None


def test_the_canary_is_never_held() -> None:
    every = a_silence(matchers=(replace(WEB, values=("*",)),))
    canary = replace(ALERT, host_id=OWN_HOST, kind=KIND_CANARY)
    assert silencing([every], canary, NOON) is None
    assert silencing([every], replace(canary, kind="channel_failing"), NOON) is not None


def test_coverage_counts_what_matches_and_shows_the_worst_first() -> None:
    alerts = [
        replace(ALERT, alert_id=UUID(int=number), host_id=f"web-{number % 3}", host_name="")
        for number in range(EXAMPLES + 10)
    ]
    alerts.append(replace(ALERT, alert_id=UUID(int=999), severity=Severity.CRITICAL))
    alerts.append(replace(ALERT, host_id="db-1"))
    coverage = covered(a_silence(), alerts)
    assert (61, 3, 1) == (coverage.alert_count, coverage.host_count, coverage.critical_count)
    assert EXAMPLES == len(coverage.examples)
    assert UUID(int=999) == coverage.examples[0].alert_id


def test_many_hosts_or_one_critical_alert_are_too_much() -> None:
    hosts = [replace(ALERT, host_id=f"web-{number}") for number in range(3)]
    critical = replace(ALERT, severity=Severity.CRITICAL)
    assert "" == too_broad(covered(a_silence(), hosts), 3)
    assert "3 hosts, more than 2" == too_broad(covered(a_silence(), hosts), 2)
    assert "1 CRITICAL alert" == too_broad(covered(a_silence(), [critical]), 2)
