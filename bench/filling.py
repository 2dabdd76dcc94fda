"""Many alerts at once, copied by SQL from a few that the service wrote itself.

Whatever columns the tables have, a copy has those of its pattern, but for what makes it another
alert. So a database of millions takes minutes, and its rows are those of the service.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import asyncpg

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME = "size"
"""The prefix of the keys: what was copied is as if `bodies.failure` had reported it."""

RESOLVED_PER_OPEN = 5

_STATEMENT_SECONDS = 900

# As UUIDv7: in the order of time, as the service gives them. {sort} keeps the sorts apart.
_ID = (
    "(lpad(to_hex(1700000000000 + {n}), 12, '0') || '7{sort}8000' || lpad(to_hex({n}), 12, '0'))"
    "::uuid"
)
_HOST = f"'{NAME}-' || lpad((({{n}}) / 50)::text, 5, '0')"
_KEY = "'group-' || lpad(({n})::text, 7, '0')"
_RAISED = "now() - interval '60 days' + {n} * interval '1 second'"

_COPY = """
INSERT INTO {table} ({columns})
SELECT {values}
FROM generate_series($1::bigint, $2::bigint - 1) AS n,
     (SELECT * FROM {table} WHERE {which} LIMIT 1) AS pattern
"""


class _Copy(NamedTuple):
    """Rows of a table like the one that is `which`, with some columns of their own."""

    table: str
    which: str
    columns: Mapping[str, str]


def _opened(sort: str, n: str) -> dict[str, str]:
    host = _HOST.format(n=n)
    return {
        "alert_id": _ID.format(n="n", sort=sort),
        "host_id": host,
        "host_name": host,
        "dedup_key": _KEY.format(n=n),
        "raise_time": _RAISED.format(n="n"),
        "last_seen_time": _RAISED.format(n="n"),
    }


_OPEN = (
    _Copy("alerts", "resolve_time IS NULL", _opened("000", "n")),
    _Copy(
        "alert_keys",
        "last_alert_id IS NOT NULL",
        {
            "host_id": _HOST.format(n="n"),
            "dedup_key": _KEY.format(n="n"),
            "last_alert_id": _ID.format(n="n", sort="000"),
            "cleared_time": "NULL",
        },
    ),
    _Copy(
        "events",
        "type = 1",
        {
            "revision": "(SELECT max(revision) FROM events) + 1 + n - $1",
            "alert_id": _ID.format(n="n", sort="000"),
            "host_id": _HOST.format(n="n"),
        },
    ),
)


def _resolved(open_alerts: int) -> _Copy:
    return _Copy("alerts", "resolve_time IS NOT NULL", _opened("111", f"n % {open_alerts}"))


async def fill(url: str, before: int, after: int) -> None:
    """Add open alerts number `before` to `after` - 1, and five resolved ones for each.

    The database has an open alert of the bench and a resolved one to copy, and nobody writes.
    Then it is vacuumed and analysed, as it would have been by the time it had grown so large.
    """
    connection = await asyncpg.connect(url, command_timeout=_STATEMENT_SECONDS)
    try:
        for copy in _OPEN:
            await _execute(connection, copy, before, after)
        resolved = _resolved(after)
        await _execute(connection, resolved, before * RESOLVED_PER_OPEN, after * RESOLVED_PER_OPEN)
        await connection.execute("VACUUM ANALYZE")
        await connection.execute("CHECKPOINT")
    finally:
        await connection.close()


async def _execute(connection: asyncpg.Connection, copy: _Copy, begin: int, end: int) -> None:
    rows = await connection.fetch(
        "SELECT column_name::text FROM information_schema.columns"
        " WHERE table_name = $1 AND table_schema = 'public' AND is_generated = 'NEVER'",
        copy.table,
    )
    names = [row[0] for row in rows]
    values = [copy.columns.get(name, f"pattern.{name}") for name in names]
    statement = _COPY.format(
        table=copy.table, columns=", ".join(names), values=", ".join(values), which=copy.which
    )
    await connection.execute(statement, begin, end)
