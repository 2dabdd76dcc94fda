"""Digests: one message that tells many, and a delivery that carries theirs.

What is carried is HELD and ends with the digest: it was told when the digest was.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from tocsin.notify.domain.notice import LISTED, Digest, DigestLine
from tocsin.notify.domain.notification import EventType, Notification
from tocsin.notify.store import notices, tellings

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from uuid import UUID

    import asyncpg

    from tocsin.common.ids import NewId
    from tocsin.notify.domain.telling import Case

COUNTED: Final = 20
"""How many types, kinds and hosts a digest counts, the most frequent of each."""

LINE_CHARACTERS: Final = 500
"""How much of the message of each alert a digest shows at most."""

# 1 is PENDING.
_ADD = """
INSERT INTO deliveries (delivery_id, event_id, channel_id, alert_id, sequence, state, state_reason,
                        attempt_count, retry_count, maybe_told, next_attempt_time, create_time)
VALUES ($1, $2, $3, $2, $4, 1, '', 0, 0, false, $5, $5)
"""

# 6 is HELD, 17 CARRIED. What they are told as is fixed with the digest.
_CARRY = """
UPDATE deliveries d
   SET state = 6, reason = 17, held_by = $1, carried_by = $1, next_attempt_time = NULL,
       told_as = given.told_as
  FROM unnest($2::uuid[], $3::smallint[]) AS given (delivery_id, told_as)
 WHERE d.delivery_id = given.delivery_id
"""


async def make(
    connection: asyncpg.Connection,
    channel_id: UUID,
    cases: Sequence[Case],
    now: datetime,
    *,
    new_id: NewId,
    group: str,
) -> UUID:
    """Make a digest of these cases, whose rows are locked, and return its delivery_id.

    It is PENDING and due; whoever calls leases it. All cases tell notifications, of the type under
    which they are told. `group` says what they share, empty for what a rate limit gathered.
    """
    digest = digest_of(cases, new_id(), now, group)
    delivery_id = new_id()
    sequence = await notices.add(connection, digest, digest.event_id, now)
    await tellings.lock(connection, [(channel_id, digest.event_id)])
    await connection.execute(_ADD, delivery_id, digest.event_id, channel_id, sequence, now)
    ids = [case.delivery_id for case in cases]
    told_as = [case.notification.type.value for case in cases]
    await connection.execute(_CARRY, delivery_id, ids, told_as)
    return delivery_id


def digest_of(cases: Iterable[Case], event_id: UUID, now: datetime, group: str) -> Digest:
    """Return the digest that tells these: the worst first, what is over last."""
    told = [case.notification for case in cases if isinstance(case.notification, Notification)]
    told.sort(key=_order)
    wrong = [each.alert.severity for each in told if each.type is not EventType.RESOLVED]
    return Digest(
        event_id=event_id,
        occur_time=now,
        total=len(told),
        lines=tuple(map(_line, told[:LISTED])),
        counts={
            "type": _most(each.type.name.lower() for each in told),
            "kind": _most(each.alert.kind for each in told),
            "host": _most(each.alert.host_name for each in told),
        },
        worst=max(wrong or [each.alert.severity for each in told]),
        group=group,
    )


def _order(told: Notification) -> tuple[bool, int, datetime, UUID]:
    is_over = told.type is EventType.RESOLVED
    return is_over, -told.alert.severity, told.occur_time, told.event_id


def _line(told: Notification) -> DigestLine:
    alert = told.alert
    return DigestLine(
        event_id=told.event_id,
        type=told.type,
        alert_id=alert.alert_id,
        host_id=alert.host_id,
        host_name=alert.host_name,
        kind=alert.kind,
        dedup_key=alert.dedup_key,
        severity=alert.severity,
        message=_cut(alert.message),
        occur_time=told.occur_time,
    )


def _cut(text: str) -> str:
    return text if len(text) <= LINE_CHARACTERS else f"{text[: LINE_CHARACTERS - 1]}…"


def _most(values: Iterable[str]) -> dict[str, int]:
    counted = Counter(values)
    return dict(sorted(counted.items(), key=lambda item: (-item[1], item[0]))[:COUNTED])
