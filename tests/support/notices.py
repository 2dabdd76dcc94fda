"""Messages of notify's own to try senders with: digests, flapping, the morning proof."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from support.notifications import ALERT, AT, a_notification
from tocsin.notify.domain.notice import (
    LISTED,
    Digest,
    DigestLine,
    FlapNotice,
    Message,
    NoticeType,
    Proof,
    ProofLine,
)
from tocsin.notify.domain.notification import EventType, Severity


def a_digest_line(number: int = 0, **changes: Any) -> DigestLine:
    line = DigestLine(
        event_id=UUID(int=1_000 + number),
        type=EventType.RAISED,
        alert_id=UUID(int=2_000 + number),
        host_id=f"db-{number}",
        host_name=f"Database {number}",
        kind="backup_failed",
        dedup_key="home",
        severity=Severity.CRITICAL,
        message="repository is locked",
        occur_time=AT,
    )
    return replace(line, **changes)


def a_digest(total: int = 491, **changes: Any) -> Digest:
    """Return a digest of so many events, of which it lists as many as a digest may."""
    digest = Digest(
        event_id=UUID(int=77),
        occur_time=AT,
        total=total,
        lines=tuple(a_digest_line(number) for number in range(min(total, LISTED))),
        counts={
            "type": {"raised": total},
            "kind": {"backup_failed": total},
            "host": {"db-1": total - 1, "db-2": 1},
        },
        worst=Severity.CRITICAL,
    )
    return replace(digest, **changes)


def a_flap_notice(type: NoticeType = NoticeType.FLAPPING, **changes: Any) -> FlapNotice:  # noqa: A002
    notice = FlapNotice(
        event_id=UUID(int=78),
        type=type,
        subject_id=UUID(int=79),
        alert_id=ALERT.alert_id,
        host_id="web-1",
        host_name="Web server",
        kind="backup_failed",
        dedup_key="home",
        severity=Severity.WARNING,
        raises=6,
        window=timedelta(hours=1),
        is_open=type is NoticeType.FLAPPING,
        occur_time=AT,
    )
    return replace(notice, **changes)


def a_proof_line(**changes: Any) -> ProofLine:
    line = ProofLine(
        host_name="Web server",
        source_group="home",
        last_good_time=AT - timedelta(hours=3),
        age=timedelta(hours=3),
        objective=timedelta(days=1),
        next_due_time=AT + timedelta(hours=21),
        open_alerts=0,
    )
    return replace(line, **changes)


def a_proof(*lines: ProofLine, **changes: Any) -> Proof:
    shown = lines or (a_proof_line(),)
    proof = Proof(
        event_id=UUID(int=80),
        occur_time=AT,
        route_name="mornings",
        total=len(shown),
        late=0,
        open_alerts=0,
        lines=shown,
    )
    return replace(proof, **changes)


def every_kind_of_message() -> list[Message]:
    """Return one message of each kind that a channel may be given."""
    return [
        *(a_notification(happened) for happened in EventType),
        a_notification(is_test=True),
        a_notification(collapsed_count=3, explained_count=12),
        a_digest(),
        a_digest(2, counts={}),
        a_flap_notice(NoticeType.FLAPPING),
        a_flap_notice(NoticeType.STEADY),
        a_proof(),
        a_proof(lines=(), total=0, problem="tocsin-alert does not answer.", route_name=""),
    ]
