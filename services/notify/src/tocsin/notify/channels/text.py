"""The message in one line, and the words that all texts share. Pure.

Host, kind and dedup key stand in every form: two alerts on one host are told apart by them.
"""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Protocol

from tocsin.notify.channels.base import plain
from tocsin.notify.domain.notice import Digest, FlapNotice, NoticeType, Proof
from tocsin.notify.domain.notification import EventType, Notification, ResolveReason

if TYPE_CHECKING:
    from datetime import datetime

    from tocsin.notify.domain.notice import Message
    from tocsin.notify.domain.notification import AlertView

HAPPENED = {
    EventType.RAISED: "RAISED",
    EventType.SEVERITY_CHANGED: "MORE SEVERE",
    EventType.CAUSE_CHANGED: "OTHER CAUSE",
    EventType.ACKNOWLEDGED: "ACKNOWLEDGED",
    EventType.UNACKNOWLEDGED: "OPEN AGAIN",
    EventType.RESOLVED: "RESOLVED",
    EventType.UNSUPPRESSED: "STILL WRONG",
    EventType.REMINDER: "REMINDER",
}
_RESOLVED = {
    ResolveReason.AUTO: "it works again",
    ResolveReason.MANUAL: "by hand",
    ResolveReason.RETIRED: "what it was about was retired",
}
_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


class Subject(Protocol):
    """Whatever names a host, a kind and a key."""

    @property
    def host_id(self) -> str: ...
    @property
    def host_name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def dedup_key(self) -> str: ...


def topic(subject: Subject) -> str:
    """Name it the same way for as long as it lives: its kind, host and key. One line."""
    key = f" ({subject.dedup_key})" if subject.dedup_key else ""
    return plain(f"{subject.kind} on {subject.host_name or subject.host_id}{key}")


def headline(message: Message) -> str:
    """Say what happened, in one line."""
    match message:
        case Notification():
            return plain(_of_alert(message))
        case Digest():
            group = f" of {message.group}" if message.group else ""
            return plain(f"DIGEST: {message.total:,} events{group} [{message.worst.name}]")
        case FlapNotice():
            return plain(_of_flapping(message))
        case Proof():
            return plain(f"BACKUPS: {_of_proof(message)}")


def line(message: Message) -> str:
    """Return one line for a console: the time, what happened, the first words of the message."""
    when = written(message.occur_time)
    if not isinstance(message, Notification):
        return plain(f"{when} {headline(message)} event_id={message.event_id}")
    first_words = plain(message.alert.message)[:200]
    said = f": {first_words}" if first_words else ""
    return plain(f"{when} {headline(message)}{said} alert_id={message.alert.alert_id}")


def _of_alert(notification: Notification) -> str:
    if notification.is_test:
        return "TEST: this channel works"
    alert = notification.alert
    return f"{HAPPENED[notification.type]}: {topic(alert)} [{alert.severity.name}]{why(alert)}"


def _of_flapping(notice: FlapNotice) -> str:
    about = f"{topic(notice)} [{notice.severity.name}]"
    if notice.type is NoticeType.FLAPPING:
        return f"FLAPPING: {about}, raised {notice.raises} times in {lasting(notice.window)}"
    return f"STEADY: {about}, {'still wrong' if notice.is_open else 'it works again'}"


def _of_proof(proof: Proof) -> str:
    if proof.problem:
        return f"nobody knows how they stand. {proof.problem}"
    in_time = proof.total - proof.late
    alerts = f", open alerts: {proof.open_alerts:,}" if proof.open_alerts else ""
    return f"{in_time:,} of {proof.total:,} source groups are in time{alerts}"


def why(alert: AlertView) -> str:
    """Say what resolved it, after a comma; nothing while it is not."""
    return f", {_RESOLVED[alert.resolve_reason]}" if alert.resolve_reason else ""


def written(time: datetime) -> str:
    """Write a time for people, to the second: 2026-01-31 22:15:00 UTC."""
    return time.astimezone(UTC).isoformat(" ", "seconds").replace("+00:00", " UTC")


def lasting(span: timedelta) -> str:
    """Write a span of time for people by its two greatest units: `2 d 3 h`, `5 min`."""
    rest, parts = max(int(span.total_seconds()), 0), []
    for unit, seconds in _UNITS:
        count, rest = divmod(rest, seconds)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"


def readable_lines(text: str) -> list[str]:
    """Return the lines of a text, without other control characters."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return ["".join(c if c.isprintable() else " " for c in row) for row in lines]
