"""The message in a few words, for chats and telephones. Pure.

No markup: each channel escapes the words for its own, and shows as many lines as it can take.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tocsin.notify.channels.base import plain
from tocsin.notify.channels.facts import facts
from tocsin.notify.channels.text import (
    HAPPENED,
    headline,
    lasting,
    readable_lines,
    topic,
    written,
)
from tocsin.notify.domain.notice import Digest, FlapNotice, NoticeType, Proof
from tocsin.notify.domain.notification import AlertStatus, EventType, Notification, Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tocsin.notify.domain.notice import DigestLine, Message, ProofLine

LINE_CHARACTERS: Final = 400
"""How long a line is at most, before it is escaped."""

_MESSAGE_LINES = 12
_FIRST_WORDS = 120
_COUNTED = 8
_TOLD_FACTS = frozenset(
    {"Cause", "Raised", "Last seen", "Acknowledged", "Resolved", "Note", "Explains", "Stands for"}
)
_COLOURS = {Severity.INFO: 0x2B6CB0, Severity.WARNING: 0xD69E2E, Severity.CRITICAL: 0xC53030}
_GREEN = 0x2F855A


@dataclass(frozen=True, slots=True)
class Words:
    """A message as a title and lines, each one line without control characters.

    The lines are in the order of their weight: what does not fit is left out from the end.
    `left_out` is how many more there would be. `is_over` says that nothing of it is wrong now.
    """

    title: str
    lines: tuple[str, ...]
    severity: Severity
    is_over: bool
    left_out: int = 0

    @property
    def colour(self) -> int:
        """The colour of the severity, green when it is over: 24 bits, red first."""
        return _GREEN if self.is_over else _COLOURS[self.severity]

    def fitted(
        self,
        most: int,
        escape: Callable[[str], str] = str,
        size: Callable[[str], int] = len,
    ) -> list[str]:
        """Return as many of the lines, escaped, as fit into `most` with line breaks between them.

        When some are left out the last one says how many.
        """
        shown = [escape(each) for each in self.lines]
        for count in range(len(shown), 0, -1):
            left_out = self.left_out + len(shown) - count
            kept = shown[:count] + ([_more(left_out)] if left_out else [])
            if size("\n".join(kept)) <= most:
                return kept
        unshown = self.left_out + len(shown)
        return [_more(unshown)] if unshown else []


def words(message: Message) -> Words:
    """Put a message into words."""
    match message:
        case Notification():
            return _of_event(message)
        case Digest():
            return _of_digest(message)
        case FlapNotice():
            return _of_flapping(message)
        case Proof():
            return _of_proof(message)


def _of_event(notification: Notification) -> Words:
    alert = notification.alert
    return Words(
        headline(notification),
        tuple(_cut(each) for each in _event_lines(notification)),
        alert.severity,
        alert.status is AlertStatus.RESOLVED,
    )


def _event_lines(notification: Notification) -> Iterator[str]:
    said = readable_lines(notification.alert.message.strip()) if notification.alert.message else []
    yield from said[:_MESSAGE_LINES]
    if len(said) > _MESSAGE_LINES:
        yield f"… and {len(said) - _MESSAGE_LINES:,} more lines of the message"
    if notification.is_test:
        return
    told = _TOLD_FACTS | ({"By"} if notification.on_behalf_of else set())
    for name, text in facts(notification):
        if name in told:
            yield f"{name}: {text}"


def _of_digest(digest: Digest) -> Words:
    unlisted = digest.total - len(digest.lines)
    is_over = not unlisted and all(each.type is EventType.RESOLVED for each in digest.lines)
    counts = (_counted(name, found, digest.total) for name, found in digest.counts.items() if found)
    lines = (*counts, *map(_digest_line, digest.lines))
    return Words(headline(digest), tuple(map(_cut, lines)), digest.worst, is_over, unlisted)


def _counted(name: str, found: Mapping[str, int], total: int) -> str:
    most_first = sorted(found.items(), key=lambda each: (-each[1], each[0]))[:_COUNTED]
    told = [f"{what} {count:,}" for what, count in most_first]
    others = total - sum(count for _, count in most_first)
    if others > 0:
        told.append(f"others {others:,}")
    return f"By {name}: " + ", ".join(told)


def _digest_line(each: DigestLine) -> str:
    first_words = plain(each.message)[:_FIRST_WORDS]
    said = f": {first_words}" if first_words else ""
    return f"[{each.severity.name}] {HAPPENED[each.type]}: {topic(each)}{said}"


def _of_flapping(notice: FlapNotice) -> Words:
    begins = notice.type is NoticeType.FLAPPING
    told = (
        "It is not told each time until it is steady again."
        if begins
        else "It is told each time again."
    )
    state = "open" if notice.is_open else "resolved"
    return Words(
        headline(notice),
        (told, f"At {written(notice.occur_time)} its alert was {state}."),
        notice.severity,
        is_over=not begins and not notice.is_open,
    )


def _of_proof(proof: Proof) -> Words:
    is_well = not (proof.problem or proof.late or proof.open_alerts)
    lines = [f"Route: {proof.route_name}"] if proof.route_name else []
    lines += map(_proof_line, proof.lines)
    return Words(
        headline(proof),
        tuple(map(_cut, lines)),
        Severity.INFO if is_well else Severity.WARNING,
        is_over=is_well,
        left_out=0 if proof.problem else proof.total - len(proof.lines),
    )


def _proof_line(each: ProofLine) -> str:
    name = f"{each.host_name} / {each.source_group}" if each.source_group else each.host_name
    return f"{name}: " + ", ".join(_standing(each))


def _standing(each: ProofLine) -> Iterator[str]:
    is_late = each.objective is not None and (each.age is None or each.age > each.objective)
    if is_late:
        yield "LATE"
    if each.last_good_time is None:
        yield "no good backup yet"
    else:
        age = f", {lasting(each.age)} ago" if each.age is not None else ""
        yield f"last good backup {written(each.last_good_time)}{age}"
    if each.objective is not None:
        yield f"objective {lasting(each.objective)}"
    if each.next_due_time is not None:
        yield f"next due {written(each.next_due_time)}"
    if each.open_alerts:
        yield f"open alerts: {each.open_alerts:,}"


def _cut(text: str) -> str:
    one_line = plain(text)
    return one_line if len(one_line) <= LINE_CHARACTERS else one_line[: LINE_CHARACTERS - 1] + "…"


def _more(left_out: int) -> str:
    return f"… and {left_out:,} more"
