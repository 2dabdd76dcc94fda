"""Matchers as a caller gives them: read, or noted as wrong with what to write instead."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from tocsin.api.notify.v1 import matcher_pb2
from tocsin.common.rpc.validate import (
    ID_CHARACTERS,
    LABEL_NAME_CHARACTERS,
    check_text,
    read_choice,
    shown,
)
from tocsin.notify.domain.matcher import GroupField, Matcher, MatchField, MatchOperator
from tocsin.notify.domain.notification import EventType, Severity
from tocsin.notify.router.matcher import fits

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from tocsin.api.notify.v1 import route_pb2
    from tocsin.common.errors import Violations

MOST_MATCHERS: Final = 50
MOST_VALUES: Final = 100
MOST_GROUP_FIELDS: Final = 10

SEVERITIES: Final = tuple(severity.name.lower() for severity in Severity)
EVENT_TYPES: Final = tuple(
    event.name.lower() for event in EventType if event is not EventType.REMINDER
)

_KIND = re.compile(r"[a-z][a-z0-9_]{0,62}")
_FIELDS: dict[int, str] = {
    number: name for name, number in matcher_pb2.MatchField.items() if number
}
_OPERATORS: dict[int, str] = {
    number: name for name, number in matcher_pb2.MatchOperator.items() if number
}
_HAVE_LABELS = (MatchField.HOST_LABEL, MatchField.LABEL)
_CHOICES = {MatchField.SEVERITY: SEVERITIES, MatchField.EVENT_TYPE: EVENT_TYPES}
_WITH_STARS = (MatchOperator.LIKE, MatchOperator.NOT_LIKE)


def read_matchers(
    found: Violations,
    path: str,
    given: Sequence[matcher_pb2.Matcher],
    *,
    least: int = 0,
    on_events: bool = True,
) -> tuple[Matcher, ...]:
    """Return the matchers. Without `on_events` they may not look at the type of an event."""
    if not least <= len(given) <= MOST_MATCHERS:
        found.add(path, f"has {len(given):,} matchers; write {least} to {MOST_MATCHERS}")
        return ()
    read = (
        _read_matcher(found, f"{path}[{index}]", one, on_events=on_events)
        for index, one in enumerate(given)
    )
    return tuple(one for one in read if one is not None)


def read_group_by(
    found: Violations, path: str, given: Sequence[route_pb2.GroupField]
) -> tuple[GroupField, ...]:
    """Return what makes a group."""
    if len(given) > MOST_GROUP_FIELDS:
        found.add(path, f"has {len(given):,} fields; write at most {MOST_GROUP_FIELDS}")
        return ()
    fields = []
    for index, one in enumerate(given):
        field = _read_field(found, f"{path}[{index}]", one.field, one.label, on_events=False)
        if field is not None:
            fields.append(GroupField(field, one.label))
    return tuple(fields)


def check_choice(found: Violations, path: str, text: str, choices: Collection[str]) -> None:
    """Note a text that is none of the choices, and which of them is near."""
    if text not in choices:
        near = get_close_matches(text.strip().lower(), choices, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        found.add(path, f"{shown(text)!r} is none of {', '.join(choices)}{hint}")


def check_kind(found: Violations, path: str, kind: str) -> None:
    """Note what no alert can have as its kind."""
    if not _KIND.fullmatch(kind):
        found.add(
            path,
            f"{shown(kind)!r} is no kind; write one such as backup_failed: small letters, digits"
            " and _, at most 63",
        )


def _read_matcher(
    found: Violations, path: str, given: matcher_pb2.Matcher, *, on_events: bool
) -> Matcher | None:
    field = _read_field(found, path, given.field, given.label, on_events=on_events)
    number = read_choice(found, f"{path}.operator", given.operator or 1, _OPERATORS)
    if not 1 <= len(given.values) <= MOST_VALUES:
        found.add(f"{path}.values", f"has {len(given.values):,} values; write 1 to {MOST_VALUES}")
        return None
    if field is None or number is None:
        return None
    operator = MatchOperator(number)
    for index, value in enumerate(given.values):
        _check_value(found, f"{path}.values[{index}]", value, field, operator)
    return Matcher(field, operator, tuple(given.values), given.label)


def _read_field(
    found: Violations, path: str, number: int, label: str, *, on_events: bool
) -> MatchField | None:
    if number == MatchField.EVENT_TYPE and not on_events:
        found.add(
            f"{path}.field", f"is {_FIELDS[number]}, which is for the matchers of routes alone"
        )
        return None
    read = read_choice(found, f"{path}.field", number, _FIELDS)
    if read is None:
        return None
    field = MatchField(read)
    if field in _HAVE_LABELS:
        check_text(found, f"{path}.label", label, least=1, most=LABEL_NAME_CHARACTERS)
    elif label:
        found.add(f"{path}.label", f"is not for {_FIELDS[field]}; leave it empty")
    return field


def _check_value(
    found: Violations, path: str, value: str, field: MatchField, operator: MatchOperator
) -> None:
    """Note what can never be there: a word that is mistyped would match nothing, or everything."""
    before = len(found.found)
    check_text(found, path, value, most=ID_CHARACTERS)
    if len(found.found) > before:
        return
    choices = _CHOICES.get(field)
    if operator in _WITH_STARS:
        if choices and not any(fits(value, choice) for choice in choices):
            found.add(path, f"{shown(value)!r} fits none of {', '.join(choices)}")
    elif choices:
        check_choice(found, path, value, choices)
    elif field is MatchField.KIND and ("*" in value or "?" in value):
        found.add(path, f"{shown(value)!r} holds * or ?, which only LIKE and NOT_LIKE understand")
    elif field is MatchField.KIND:
        check_kind(found, path, value)
