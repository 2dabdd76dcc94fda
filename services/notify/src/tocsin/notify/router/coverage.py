"""What a silence covers, and whether that is too much to do by mistake."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tocsin.notify.domain.notification import Severity
from tocsin.notify.router.matcher import matches_alert

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tocsin.notify.domain.notification import AlertView
    from tocsin.notify.domain.silence import Silence

EXAMPLES = 50


@dataclass(frozen=True, slots=True)
class Coverage:
    """What is covered among the alerts that are not resolved. `examples`: the worst of them."""

    alert_count: int
    host_count: int
    critical_count: int
    examples: tuple[AlertView, ...]


def covered(silence: Silence, alerts: Iterable[AlertView]) -> Coverage:
    """Return what a silence covers whenever it is active."""
    matched = [alert for alert in alerts if matches_alert(silence.matchers, alert)]
    worst = sorted(
        matched, key=lambda a: (-a.severity, a.host_name, a.kind, a.dedup_key, a.alert_id)
    )
    return Coverage(
        alert_count=len(matched),
        host_count=len({alert.host_id for alert in matched}),
        critical_count=sum(alert.severity is Severity.CRITICAL for alert in matched),
        examples=tuple(worst[:EXAMPLES]),
    )


def too_broad(coverage: Coverage, most_hosts: int) -> str:
    """Return why it is too much without being forced, empty when it is not."""
    why = []
    if coverage.critical_count:
        is_one = coverage.critical_count == 1
        why.append(f"{coverage.critical_count:,} CRITICAL {'alert' if is_one else 'alerts'}")
    if coverage.host_count > most_hosts:
        why.append(f"{coverage.host_count:,} hosts, more than {most_hosts:,}")
    return " and ".join(why)
