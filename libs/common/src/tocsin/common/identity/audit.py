"""The audit trail: what people changed, written in the transaction of the change itself."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime
    from uuid import UUID

    import asyncpg

    from tocsin.common.ids import NewId

_ADD = """
INSERT INTO audit_entries (entry_id, record_time, actor, on_behalf_of, method, subject, details)
SELECT * FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::text[],
                     $7::jsonb[])
"""

_PAGE = """
SELECT entry_id, record_time, actor, on_behalf_of, method, subject, details::text AS details_text
  FROM audit_entries
 WHERE ($1 = '' OR actor = $1) AND ($2 = '' OR method = $2)
   AND ($3::timestamptz IS NULL OR record_time >= $3)
   AND ($4::uuid IS NULL OR entry_id < $4)
 ORDER BY entry_id DESC LIMIT $5
"""

_FORGET = """
DELETE FROM audit_entries
 WHERE entry_id IN (SELECT entry_id FROM audit_entries WHERE record_time < $1
                     ORDER BY record_time LIMIT $2)
"""


@dataclass(frozen=True, slots=True)
class Act:
    """What one person changes. `method` is `Service/Method`; `details` hold no secret."""

    actor: str
    method: str
    subject: str = ""
    details: Mapping[str, str] = field(default_factory=dict)
    on_behalf_of: str = ""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """An act as it was written down."""

    entry_id: UUID
    record_time: datetime
    act: Act


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries: of one actor, of one method, since a time. Empty and None: all."""

    actor: str = ""
    method: str = ""
    since: datetime | None = None


async def record(
    connection: asyncpg.Connection, acts: Iterable[Act | None], now: datetime, new_id: NewId
) -> None:
    """Write acts down, within the transaction that does them; None stands for none."""
    done = [act for act in acts if act is not None]
    if not done:
        return
    await connection.execute(
        _ADD,
        [new_id() for _ in done],
        [now] * len(done),
        [act.actor for act in done],
        [act.on_behalf_of for act in done],
        [act.method for act in done],
        [act.subject for act in done],
        [json.dumps(dict(act.details)) for act in done],
    )


async def list_entries(
    connection: asyncpg.Connection, wanted: AuditFilter, *, before: UUID | None, limit: int
) -> list[AuditEntry]:
    """Return at most `limit` entries, the latest first, from those before one on."""
    rows = await connection.fetch(_PAGE, wanted.actor, wanted.method, wanted.since, before, limit)
    return [_entry(row) for row in rows]


async def forget_before(connection: asyncpg.Connection, moment: datetime, most: int) -> int:
    """Delete at most so many entries that are older, the oldest first; return how many."""
    done: str = await connection.execute(_FORGET, moment, most)
    return int(done.rpartition(" ")[2])


def _entry(row: Mapping[str, Any]) -> AuditEntry:
    act = Act(
        actor=row["actor"],
        method=row["method"],
        subject=row["subject"],
        details=json.loads(row["details_text"]),
        on_behalf_of=row["on_behalf_of"],
    )
    return AuditEntry(row["entry_id"], row["record_time"], act)
