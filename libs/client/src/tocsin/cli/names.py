"""Enum values by the names people use: SEVERITY_CRITICAL is `critical`."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, TypeVar

from tocsin.cli.exits import wrong_usage
from tocsin.client.values import short_names

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tocsin.client.values import EnumType

_Value = TypeVar("_Value", bound=int)


def short_name(enum: EnumType[_Value], number: _Value) -> str:
    """Return the short name of a value, or its number when this program does not know it."""
    return {value: name for name, value in short_names(enum).items()}.get(number, str(number))


def checked_name(option: str, enum: EnumType[_Value], given: str) -> str:
    """Return the short name that was given, in any case. Raises CommandError for any other."""
    names = short_names(enum)
    wanted = given.strip().lower().replace("-", "_")
    if wanted in names:
        return wanted
    near = get_close_matches(wanted, names, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise wrong_usage(f"{option}: {given!r} is none of {', '.join(names)}.{hint}")


def checked_names(option: str, enum: EnumType[_Value], given: Iterable[str]) -> list[str]:
    """Return several short names; `a,b` counts as two."""
    return [checked_name(option, enum, one) for each in given for one in each.split(",") if one]
