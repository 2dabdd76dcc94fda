from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from tocsin.common.postgres import ids
from tocsin.common.postgres.columns import (
    map_runs,
    microsecond,
    once_if_alike,
    packed,
    unless_all_null,
)

columns = st.lists(st.text(st.sampled_from("ab\x1e\x1f"), max_size=6), max_size=6)


@given(columns)
def test_what_is_packed_comes_apart_at_its_first_separator_and_nowhere_else(
    texts: list[str],
) -> None:
    joined = packed(texts)
    separator = joined[: joined.find("\x1e") + 1]

    assert texts == (joined.split(separator)[1:] if separator else [])


def test_what_separates_is_no_longer_than_what_it_separates() -> None:
    """Else a caller could have a column sent that is as long as the square of its texts."""
    texts = ["\x1f" * 100] * 50 + ["\x1e"]

    assert len(packed(texts)) <= sum(map(len, texts)) + len(texts) * 102


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_time_is_exact_to_the_microsecond_in_every_year(time: datetime) -> None:
    seconds, rest = divmod(microsecond(time), 1_000_000)
    since = time - datetime(1970, 1, 1, tzinfo=UTC)
    assert (since.days * 86_400 + since.seconds, since.microseconds) == (seconds, rest)


some_times = [datetime(year, 1, 1, tzinfo=UTC) for year in (1970, 2026, 2026)]


@given(st.lists(st.none() | st.sampled_from(some_times), max_size=9))
def test_each_value_of_a_column_is_told_whatever_stands_before_it(
    times: list[datetime | None],
) -> None:
    assert [str(time) for time in times] == map_runs(str, times)


def test_of_what_follows_itself_a_function_is_asked_once() -> None:
    asked: list[datetime] = []
    one, _, other = some_times

    map_runs(asked.append, [one, one, other, other, one])

    assert [one, other, one] == asked


def test_a_column_without_values_is_empty() -> None:
    assert () == unless_all_null([None, None])
    assert [None, 1] == unless_all_null([None, 1])


def test_values_that_are_alike_are_sent_once() -> None:
    assert [7] == list(once_if_alike([7, 7, 7]))
    assert [7, 8] == list(once_if_alike([7, 8]))
    assert [] == list(once_if_alike([]))


def test_an_id_of_the_driver_is_a_uuid_like_any_other() -> None:
    made = ids.uuid7()
    same = UUID(str(made))

    assert isinstance(made, UUID)
    assert 7 == made.version
    assert (same, hash(same), repr(same)) == (made, hash(made), repr(made))
    assert ids.uuid7() > made
