"""Retry-After, as RFC 9110 has it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.notify.channels.judging import retry_after

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0", timedelta()),
        ("120", timedelta(seconds=120)),
        (" 7 ", timedelta(seconds=7)),
        ("Fri, 01 May 2026 12:05:00 GMT", timedelta(minutes=5)),
        ("Fri, 01 May 2026 11:00:00 GMT", timedelta()),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("²", None),
        ("2026-05-01T12:05:00Z", None),
    ],
)
def test_seconds_and_dates_are_read_and_nothing_else(
    value: str, expected: timedelta | None
) -> None:
    assert expected == retry_after(value, NOW)


@given(st.one_of(st.text(), st.integers().map(str)))
def test_no_header_breaks_the_reading(value: str) -> None:
    wait = retry_after(value, NOW)

    assert wait is None or wait >= timedelta()
