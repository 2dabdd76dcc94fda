"""Matchers as people write and read them: `kind=check_failed,prune_failed`, `host!=test-*`."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING

from tocsin.api.notify.v1.matcher_pb2 import (
    MATCH_FIELD_HOST_LABEL,
    MATCH_FIELD_LABEL,
    Matcher,
    MatchField,
    MatchOperator,
)
from tocsin.api.notify.v1.matcher_pb2 import (
    MATCH_OPERATOR_ANY_OF as ANY_OF,
)
from tocsin.api.notify.v1.matcher_pb2 import (
    MATCH_OPERATOR_LIKE as LIKE,
)
from tocsin.api.notify.v1.matcher_pb2 import (
    MATCH_OPERATOR_NONE_OF as NONE_OF,
)
from tocsin.api.notify.v1.matcher_pb2 import (
    MATCH_OPERATOR_NOT_LIKE as NOT_LIKE,
)
from tocsin.api.notify.v1.route_pb2 import GroupField
from tocsin.cli.exits import wrong_usage
from tocsin.client.values import short_names

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tocsin.cli.exits import CommandError

HELP = (
    "What it is about, such as kind=check_failed, severity=critical, host=db-*, "
    "label.site!=lab; several values with commas. All of several must hold."
)

_LABELS = (MATCH_FIELD_LABEL, MATCH_FIELD_HOST_LABEL)
_SHORT = {"host_id": "host", "repository_id": "repository", "event_type": "event"} | {
    f"{name}_id": name.replace("_", "-") for name in ("source_group", "schedule")
}
_NAMES = {
    _SHORT.get(name, name.replace("_", "-")): field
    for name, field in short_names(MatchField).items()
}
_TEXTS = {field: name for name, field in _NAMES.items()}
_SIGNS = {ANY_OF: "=", LIKE: "=", NONE_OF: "!=", NOT_LIKE: "!="}
_MATCHER = re.compile(r"([^=!]*?)\s*(!?=)(.*)", re.DOTALL)


def read_matchers(option: str, given: Iterable[str]) -> list[Matcher]:
    """Read matchers. Raises CommandError that says what to write instead."""
    return [_read(option, text) for text in given]


def read_group_fields(option: str, given: Iterable[str]) -> list[GroupField]:
    """Read what makes a group, such as `host` and `label.site`; `a,b` counts as two."""
    texts = [one for each in given for one in each.split(",") if one]
    return [GroupField(field=field, label=label) for field, label in _fields(option, texts)]


def matcher_text(matcher: Matcher) -> str:
    """Tell a matcher as `read_matchers` reads it."""
    sign = _SIGNS.get(matcher.operator, MatchOperator.Name(matcher.operator))
    return f"{field_text(matcher.field, matcher.label)}{sign}{','.join(matcher.values)}"


def field_text(field: MatchField.ValueType, label: str) -> str:
    """Tell what a matcher looks at: `host`, `label.site`."""
    name = _TEXTS.get(field, str(field))
    return f"{name}.{label}" if label else name


def _read(option: str, text: str) -> Matcher:
    split = _MATCHER.fullmatch(text.strip())
    if split is None:
        raise wrong_usage(
            f"{option}: {text!r} is no condition; write it such as kind=check_failed or host!=lab-*"
        )
    name, sign, values = split.groups()
    ((field, label),) = _fields(option, [name])
    has_stars = "*" in values or "?" in values
    operator = {"=": LIKE if has_stars else ANY_OF, "!=": NOT_LIKE if has_stars else NONE_OF}[sign]
    return Matcher(
        field=field,
        label=label,
        operator=operator,
        values=[value.strip() for value in values.split(",")],
    )


def _fields(option: str, texts: Iterable[str]) -> list[tuple[MatchField.ValueType, str]]:
    read = []
    for text in texts:
        name, _, label = text.strip().partition(".")
        field = _NAMES.get(name.strip().lower().replace("_", "-").removesuffix("-id"))
        if field is None:
            raise _unknown(option, name)
        if (field in _LABELS) != bool(label):
            raise wrong_usage(
                f"{option}: {text!r} must name a label; write it such as {name}.site"
                if field in _LABELS
                else f"{option}: {name} has no parts; write it without .{label}"
            )
        read.append((field, label))
    return read


def _unknown(option: str, name: str) -> CommandError:
    near = get_close_matches(name.lower(), _NAMES, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    names = ", ".join(f"{n}.NAME" if field in _LABELS else n for n, field in _NAMES.items())
    return wrong_usage(f"{option}: {name!r} is none of {names}.{hint}")
