"""What the event of a notice holds as its `data`: for digests, flapping and the morning proof.

Pure, and part of the contract with receivers: see docs/webhooks.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tocsin.notify.channels.event_values import name_of, rfc3339, seconds_of, time_of
from tocsin.notify.channels.text import headline
from tocsin.notify.domain.notice import Digest, FlapNotice

if TYPE_CHECKING:
    from tocsin.notify.domain.notice import DigestLine, Proof, ProofLine


def notice_data(notice: Digest | FlapNotice | Proof) -> dict[str, Any]:
    """Return the `data` of a notice."""
    common = {
        "summary": headline(notice),
        "event_id": str(notice.event_id),
        "type": notice.type.name.lower(),
        "occur_time": rfc3339(notice.occur_time),
    }
    match notice:
        case Digest():
            return common | _digest(notice)
        case FlapNotice():
            return common | _flapping(notice)
        case _:
            return common | _proof(notice)


def _digest(digest: Digest) -> dict[str, Any]:
    return {
        "group": digest.group,
        "total": digest.total,
        "worst": name_of(digest.worst),
        "counts": {name: dict(found) for name, found in digest.counts.items()},
        "events": [_digest_line(each) for each in digest.lines],
    }


def _digest_line(each: DigestLine) -> dict[str, Any]:
    return {
        "event_id": str(each.event_id),
        "type": each.type.name.lower(),
        "alert_id": str(each.alert_id),
        "host_id": each.host_id,
        "host_name": each.host_name,
        "kind": each.kind,
        "dedup_key": each.dedup_key,
        "severity": name_of(each.severity),
        "message": each.message,
        "occur_time": rfc3339(each.occur_time),
    }


def _flapping(notice: FlapNotice) -> dict[str, Any]:
    return {
        "subject_id": str(notice.subject_id),
        "alert_id": str(notice.alert_id),
        "host_id": notice.host_id,
        "host_name": notice.host_name,
        "kind": notice.kind,
        "dedup_key": notice.dedup_key,
        "severity": name_of(notice.severity),
        "raises": notice.raises,
        "window_seconds": seconds_of(notice.window),
        "is_open": notice.is_open,
    }


def _proof(proof: Proof) -> dict[str, Any]:
    return {
        "route_name": proof.route_name,
        "problem": proof.problem,
        "total": proof.total,
        "late": proof.late,
        "open_alerts": proof.open_alerts,
        "source_groups": [_proof_line(each) for each in proof.lines],
    }


def _proof_line(each: ProofLine) -> dict[str, Any]:
    return {
        "host_name": each.host_name,
        "source_group": each.source_group,
        "last_good_time": time_of(each.last_good_time),
        "age_seconds": seconds_of(each.age),
        "objective_seconds": seconds_of(each.objective),
        "next_due_time": time_of(each.next_due_time),
        "open_alerts": each.open_alerts,
    }
