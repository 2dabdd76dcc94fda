"""Times and spans as people read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from tocsin.alert.engine.spans import spell_span, spell_time


def test_a_time_is_told_in_utc_to_the_minute() -> None:
    berlin = timezone(timedelta(hours=2))

    assert "2026-07-01 00:30 UTC" == spell_time(datetime(2026, 7, 1, 2, 30, 59, tzinfo=berlin))
    assert "2026-07-01 02:30 UTC" == spell_time(datetime(2026, 7, 1, 2, 30, tzinfo=UTC))


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("less than 1 min", timedelta(seconds=-5)),
        ("less than 1 min", timedelta(seconds=59)),
        ("1 min", timedelta(seconds=119)),
        ("1 h", timedelta(hours=1, seconds=30)),
        ("3 h 12 min", timedelta(hours=3, minutes=12)),
        ("1 d", timedelta(days=1, minutes=59)),
        ("2 d 3 h", timedelta(days=2, hours=3, minutes=4)),
    ],
)
def test_a_span_is_told_by_its_two_largest_units(text: str, span: timedelta) -> None:
    assert text == spell_span(span)
