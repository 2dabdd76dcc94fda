"""Whether matchers match: a route's an event, a silence's an alert."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from tocsin.notify.domain.matcher import MatchField, MatchOperator

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tocsin.notify.domain.matcher import Matcher
    from tocsin.notify.domain.notification import AlertView, Notification


def matches(matchers: Iterable[Matcher], notification: Notification) -> bool:
    """Return whether all of them hold for an event. None at all match everything."""
    return all(
        _holds(matcher, value_of(matcher.field, matcher.label, notification))
        for matcher in matchers
    )


def matches_alert(matchers: Iterable[Matcher], alert: AlertView) -> bool:
    """Return whether all of them hold for an alert. It has no event type: that is empty."""
    return all(
        _holds(matcher, _of_alert(matcher.field, matcher.label, alert)) for matcher in matchers
    )


def value_of(field: MatchField, label: str, notification: Notification) -> str:
    """Return what a matcher on that field looks at. What is not set is empty."""
    if field is MatchField.EVENT_TYPE:
        return notification.type.name.lower()
    return _of_alert(field, label, notification.alert)


def fits(pattern: str, value: str) -> bool:
    """Return whether a value fits a pattern, in which `*` and `?` stand for characters."""
    return _compiled(pattern).fullmatch(value) is not None


def _of_alert(field: MatchField, label: str, alert: AlertView) -> str:
    match field:
        case MatchField.SEVERITY:
            return alert.severity.name.lower()
        case MatchField.HOST_LABEL:
            return alert.host_labels.get(label, "")
        case MatchField.LABEL:
            return alert.labels.get(label, "")
        case MatchField.EVENT_TYPE:
            return ""
        case _:  # the other fields are named as those of the alert
            value: str = getattr(alert, field.name.lower())
            return value


def _holds(matcher: Matcher, value: str) -> bool:
    match matcher.operator:
        case MatchOperator.ANY_OF:
            return value in matcher.values
        case MatchOperator.NONE_OF:
            return value not in matcher.values
        case MatchOperator.LIKE:
            return _fits_one(matcher.values, value)
        case MatchOperator.NOT_LIKE:
            return not _fits_one(matcher.values, value)


def _fits_one(patterns: Iterable[str], value: str) -> bool:
    return any(fits(pattern, value) for pattern in patterns)


@lru_cache(maxsize=4_096)
def _compiled(pattern: str) -> re.Pattern[str]:
    first, *others = (_with_any_character(part) for part in pattern.split("*"))
    if not others:
        return re.compile(first, re.DOTALL)
    *middle, last = others
    # The first place that fits is taken for good: without that, many stars would take for ever.
    found = "".join(f"(?>.*?{part})" for part in middle if part)
    return re.compile(f"{first}{found}.*{last}", re.DOTALL)


def _with_any_character(part: str) -> str:
    return ".".join(re.escape(literal) for literal in part.split("?"))
