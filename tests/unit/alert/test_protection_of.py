"""The answer to "is my data safe" for one source group."""

from __future__ import annotations

from datetime import timedelta

import pytest

from support.backups import GROUP
from support.observed import ALPHA, ORCHESTRATOR, at, failure
from tocsin.alert.domain.alert import Alert, Severity
from tocsin.alert.domain.job import Ended, LastFailure, StreamState
from tocsin.alert.domain.protection import Protection, ProtectionStatus
from tocsin.alert.domain.source_group import SourceGroup, SourceGroupSpec
from tocsin.alert.engine import transitions
from tocsin.alert.engine.protections import protection_of
from tocsin.alert.engine.transitions import KeyState
from tocsin.common.ids import uuid7

HOUR = timedelta(hours=1)
GOOD = StreamState(Ended(at(0), "job-1"))


def group(objective: timedelta | None = HOUR) -> SourceGroup:
    return SourceGroup(
        SourceGroupSpec(GROUP, "host-a", objective=objective),
        create_time=at(-30),
        update_time=at(-30),
    )


def alert(minutes: float, severity: Severity = Severity.WARNING) -> Alert:
    seen = failure(minutes, severity=severity)
    raised = transitions.raise_or_touch(KeyState(), seen, ORCHESTRATOR, ALPHA, uuid7).alert
    assert raised is not None
    return raised


def asked(
    minutes: float, *alerts: Alert, state: StreamState = GOOD, of: SourceGroup | None = None
) -> Protection:
    return protection_of(of or group(), "Alpha", state, at(90), alerts, at(minutes))


def test_a_young_good_backup_with_nothing_wrong_is_safe() -> None:
    answer = asked(59)

    assert ProtectionStatus.SAFE == answer.status
    assert (at(0), timedelta(minutes=59), 0) == (
        answer.last_good_backup_time,
        answer.age,
        answer.objective_multiple,
    )
    assert ("Alpha", at(90), ()) == (answer.host_name, answer.next_due_time, answer.open_alerts)


def test_a_young_good_backup_with_an_alert_is_at_risk() -> None:
    assert ProtectionStatus.AT_RISK == asked(59, alert(50)).status


@pytest.mark.parametrize(("minutes", "multiple"), [(60, 1), (130, 2), (999, 4)])
def test_a_good_backup_older_than_the_objective_is_unprotected(
    minutes: float, multiple: int
) -> None:
    answer = asked(minutes)

    assert (ProtectionStatus.UNPROTECTED, multiple) == (answer.status, answer.objective_multiple)


def test_without_a_good_backup_it_is_unprotected_and_the_age_counts_from_the_put() -> None:
    failed = StreamState(None, None, LastFailure(Ended(at(-5), "job-1"), "other", "no"))

    for state in (StreamState(), failed):
        answer = asked(0, state=state)
        assert ProtectionStatus.UNPROTECTED == answer.status
        assert (None, timedelta(minutes=30), 0) == (
            answer.last_good_backup_time,
            answer.age,
            answer.objective_multiple,
        )


def test_without_an_objective_any_good_backup_will_do() -> None:
    answer = asked(99_999, of=group(None))

    assert (ProtectionStatus.SAFE, 0) == (answer.status, answer.objective_multiple)


def test_a_good_backup_of_later_than_now_has_no_age() -> None:
    assert timedelta(0) == asked(-5).age


def test_the_20_worst_alerts_are_told_the_worst_and_oldest_first() -> None:
    mild = [alert(minutes) for minutes in range(25)]
    worst = [alert(40, Severity.CRITICAL), alert(30, Severity.CRITICAL)]

    answer = asked(50, *reversed(mild), *worst)

    assert (worst[1], worst[0], *mild[:18]) == answer.open_alerts
