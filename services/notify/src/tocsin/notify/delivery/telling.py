"""The rule of telling: what becomes of a delivery whose turn has come. Pure.

Whoever was told that something is wrong is told what becomes of it, whatever happens; what they
hear first of an alert is told as RAISED, and may be held. Order is not decided here: the queue
lets a delivery come to its turn only when nothing of its alert is under way to that channel.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from tocsin.notify.domain.decision import DecisionReason, End, Hold, Send
from tocsin.notify.domain.notice import FlapNotice, NoticeType
from tocsin.notify.domain.notification import AlertStatus, EventType, Notification, Severity
from tocsin.notify.router.quiet_hours import quiet_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from tocsin.notify.domain.decision import Outcome
    from tocsin.notify.domain.notice import Message, MessageType
    from tocsin.notify.domain.telling import Case

ENDS: Final = {
    DecisionReason.NEVER_TOLD: "Its alert was never told here: nothing to take back.",
    DecisionReason.ALREADY_OVER: "Its alert is resolved by now.",
    DecisionReason.TOO_LATE: "It came too late to be of use.",
}
"""Why something is not told, for people."""


@dataclass(frozen=True, slots=True)
class HoldRules:
    """How patiently an alert is held that another one explains.

    It is looked at again every `relook`, as long as that one is open, and told by itself when it
    outlives it by `grace`. Normally the alert service says so first.
    """

    explained_relook: timedelta = timedelta(minutes=15)
    explained_grace: timedelta = timedelta(hours=1)


def decide(case: Case, now: datetime, rules: HoldRules) -> Outcome:
    """Decide what becomes of a delivery: it is sent, held for a while, or ends untold."""
    notification = case.notification
    if case.expire_time is not None and case.expire_time <= now:
        return End(DecisionReason.TOO_LATE)
    if not isinstance(notification, Notification):
        return _tell_notice(case, notification, now)
    if notification.type is EventType.RESOLVED:
        return _take_back(case, EventType.RESOLVED)
    if case.telling.is_over:
        return End(DecisionReason.ALREADY_OVER)
    if notification.type is EventType.REMINDER:
        return _remind(case, notification, now)
    return _tell(case, notification, now, rules)


def without_group_wait(case: Case) -> Case:
    """Return the case as it is when another of its group goes out: it goes along."""
    if case.route is None:
        return case
    return replace(case, route=replace(case.route, group_wait=timedelta()))


def waits_for_its_group(case: Case) -> bool:
    """Whether it is told together with others, if others wait: first news of a grouping route."""
    return bool(
        case.telling.group_key
        and case.route is not None
        and case.route.group_wait
        and not case.telling.maybe_told
        and case.told_as is None
    )


def _take_back(case: Case, told_as: MessageType) -> Outcome:
    return Send(told_as) if case.telling.maybe_told else End(DecisionReason.NEVER_TOLD)


def _tell(case: Case, notification: Notification, now: datetime, rules: HoldRules) -> Outcome:
    if case.telling.maybe_told:
        return Send(case.told_as or notification.type)
    for look in _HOLDS:
        if (hold := look(case, notification, now, rules)) is not None:
            return hold
    return Send(case.told_as or _first_type(case, notification))


def _tell_notice(case: Case, notice: Message, now: datetime) -> Outcome:
    if not isinstance(notice, FlapNotice):
        return Send(notice.type)
    if notice.type is NoticeType.STEADY:
        return _take_back(case, NoticeType.STEADY)
    if case.telling.is_over:
        return End(DecisionReason.ALREADY_OVER)
    return _quiet(case, notice.severity, now) or Send(NoticeType.FLAPPING)


def _first_type(case: Case, notification: Notification) -> EventType:
    """Tell what is new to the channel as RAISED; that somebody knows of it may be told alone."""
    if notification.type is EventType.ACKNOWLEDGED and not case.collapsed_count:
        return EventType.ACKNOWLEDGED
    return EventType.RAISED


def _remind(case: Case, notification: Notification, now: datetime) -> Outcome:
    is_known = notification.alert.status is not AlertStatus.OPEN
    if is_known or case.silence is not None:
        return End(DecisionReason.TOO_LATE)
    return _quiet(case, notification.alert.severity, now) or Send(EventType.REMINDER)


def _explained(
    case: Case, notification: Notification, now: datetime, rules: HoldRules
) -> Hold | None:
    root = case.root
    if notification.alert.suppressed_by is None or root is None:
        return None
    if root.over_time is None:
        until = now + rules.explained_relook
    else:
        until = root.over_time + rules.explained_grace
    return Hold(DecisionReason.EXPLAINED, until, root.alert_id) if until > now else None


def _silenced(
    case: Case, _notification: Notification, _now: datetime, _rules: HoldRules
) -> Hold | None:
    if case.silence is None:
        return None
    silence_id, until = case.silence
    return Hold(DecisionReason.SILENCED, until, silence_id)


def _flapping(
    case: Case, _notification: Notification, now: datetime, _rules: HoldRules
) -> Hold | None:
    until = case.flapping_until
    return Hold(DecisionReason.FLAPPING, until) if until is not None and until > now else None


def _quiet_hours(
    case: Case, notification: Notification, now: datetime, _rules: HoldRules
) -> Hold | None:
    return _quiet(case, notification.alert.severity, now)


def _quiet(case: Case, severity: Severity, now: datetime) -> Hold | None:
    quiet = None if case.route is None else case.route.quiet_hours
    if quiet is None or severity >= Severity.CRITICAL:
        return None
    until = quiet_until(quiet, now)
    return None if until is None else Hold(DecisionReason.QUIET_HOURS, until)


def _group_wait(
    case: Case, _notification: Notification, now: datetime, _rules: HoldRules
) -> Hold | None:
    wait = timedelta() if case.route is None else case.route.group_wait
    until = case.create_time + wait
    # What was created in the future was so by a wrong clock.
    is_waiting = now < until <= now + wait
    return Hold(DecisionReason.GROUP_WAIT, until) if is_waiting else None


_HOLDS: Final[tuple[Callable[[Case, Notification, datetime, HoldRules], Hold | None], ...]] = (
    _explained,
    _silenced,
    _flapping,
    _quiet_hours,
    _group_wait,
)
"""The first that holds is the one that is told."""
