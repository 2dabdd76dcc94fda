"""What PostgreSQL makes of columns that are sent as one text, and of times sent as numbers."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tocsin.common.postgres.columns import microsecond, packed

if TYPE_CHECKING:
    from tocsin.common.postgres.engine import Database

pytestmark = pytest.mark.postgres

ALPHABET = "ab\x1e\x1f\n'ö🔔"
TIMES = [
    datetime(1, 1, 1, 0, 0, 0, 1, tzinfo=UTC),
    datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    datetime(1970, 1, 1, tzinfo=UTC),
    datetime(2026, 10, 25, 1, 30, 0, 123_456, tzinfo=UTC),
    datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
]


def some_texts(rng: random.Random) -> list[str]:
    return ["".join(rng.choices(ALPHABET, k=rng.randrange(5))) for _ in range(rng.randrange(5))]


async def test_texts_come_out_as_they_were_packed(alert_database: Database, seed: int) -> None:
    rng = random.Random(seed)
    columns = [[], [""], ["", ""], ["\x1f"], ["\x1e"], *(some_texts(rng) for _ in range(300))]
    async with alert_database.connection() as connection:
        unpacked = [
            await connection.fetchval("SELECT unpack_texts_1($1)", packed(texts))
            for texts in columns
        ]

    assert columns == unpacked


async def test_times_are_exact_in_every_year_and_time_zone(
    alert_database: Database, seed: int
) -> None:
    rng = random.Random(seed)
    span = (TIMES[-1] - TIMES[0]) // timedelta(microseconds=1)
    some = [TIMES[0] + timedelta(microseconds=rng.randrange(span)) for _ in range(300)]
    times = [*TIMES, *some]
    numbers = [microsecond(time) for time in times]
    async with alert_database.connection() as connection:
        await connection.execute("SET TimeZone = 'Europe/Berlin'")
        rows = await connection.fetch(
            "SELECT time_at_1(given) FROM unnest($1::bigint[]) AS given", numbers
        )
        await connection.execute("RESET TimeZone")

    assert times == [row[0] for row in rows]
