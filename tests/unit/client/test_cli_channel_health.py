from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from tocsin.api.notify.v1.channel_health_pb2 import BreakerState, ChannelHealth, DeadCount
from tocsin.api.notify.v1.decision_pb2 import DecisionReason
from tocsin.cli.channel_health_view import HEALTH_HEADINGS, health_fields, health_row

NOW = datetime(2026, 1, 31, 3, 15, tzinfo=UTC)
SINCE = Timestamp(seconds=int(NOW.timestamp()))
OPEN, HALF_OPEN = BreakerState.BREAKER_STATE_OPEN, BreakerState.BREAKER_STATE_HALF_OPEN
SENT: dict[str, Any] = {"last_success_time": NOW - timedelta(hours=2)}


def row(*, disabled: bool = False, **health: Any) -> dict[str, str]:
    """Return the cells of a channel by their headings."""
    cells = health_row(ChannelHealth(**health), NOW, disabled=disabled)
    return dict(zip(HEALTH_HEADINGS, map(str, cells), strict=True))


@pytest.mark.parametrize(
    ("health", "state"),
    [
        ({}, "unused"),
        (SENT, "works"),
        ({**SENT, "failure_count": 3}, "failed x3"),
        (
            {"breaker": OPEN, "failure_count": 5, "probe_time": NOW + timedelta(minutes=2)},
            "broken, tried in 2m",
        ),
        ({"breaker": HALF_OPEN, "failure_count": 5}, "broken"),
        ({"breaker": OPEN, "failure_count": 5, "disabled": True}, "disabled"),
    ],
)
def test_the_state_of_a_channel_is_one_word_to_look_for(health: dict[str, Any], state: str) -> None:
    assert state == row(**health)["STATE"]


def test_an_error_is_shown_until_something_was_accepted() -> None:
    met: dict[str, Any] = {"last_error": "Not connected", **SENT}

    assert "Not connected" == row(failure_count=1, **met)["LAST ERROR"]
    assert "" == row(**met)["LAST ERROR"]


def test_what_waits_and_what_was_given_up_are_counted() -> None:
    dead = [DeadCount(reason=DecisionReason.DECISION_REASON_REFUSED, count=n) for n in (2, 1)]
    cells = row(pending_count=1_200, oldest_pending_time=NOW - timedelta(minutes=8), dead=dead)

    assert ("1,200", "8m ago", "", "3") == tuple(
        cells[name] for name in ("WAITING", "OLDEST", "HELD", "DEAD")
    )


def test_of_one_channel_the_reasons_are_told_too() -> None:
    dead = [DeadCount(reason=DecisionReason.DECISION_REASON_ATTEMPTS_EXHAUSTED, count=4)]
    health = ChannelHealth(
        channel_display_name="on-call", breaker=OPEN, since_time=SINCE, dead=dead
    )

    told = [f"{name} {value}".strip() for name, value in health_fields(health, NOW, disabled=False)]

    assert "since 2026-01-31 03:15:00Z (now)" in told
    assert "dead 4" in told
    assert "4 attempts_exhausted" in told
