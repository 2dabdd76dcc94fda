"""From Python's values to those of the contract: times, lengths of time, enum values by names."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, TypeVar

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime, timedelta

    # Private in protobuf's type stubs, and the only name there that all generated enums share.
    from google.protobuf.internal.enum_type_wrapper import _EnumTypeWrapper

_Value = TypeVar("_Value", bound=int)
EnumType: TypeAlias = "_EnumTypeWrapper[_Value]"


def timestamp(field: str, at: datetime | None) -> Timestamp | None:
    """Return `at` as a Timestamp, None as None.

    Raises ValueError for a naive datetime: whose clock it shows is not known.
    """
    if at is None:
        return None
    if at.utcoffset() is None:
        raise ValueError(
            f"{field}: {at.isoformat()} has no time zone; write datetime.now(UTC) or the like"
        )
    stamp = Timestamp()
    stamp.FromDatetime(at)
    return stamp


def duration(length: timedelta | None) -> Duration | None:
    """Return `length` as a Duration, None as None."""
    if length is None:
        return None
    span = Duration()
    span.FromTimedelta(length)
    return span


def short_names(enum: EnumType[_Value]) -> dict[str, _Value]:
    """Return the values of an enum by the names people use: SEVERITY_CRITICAL is `critical`.

    The zero value, which means unset, is left out.
    """
    (unset, _), *named = enum.items()
    prefix = unset.removesuffix("UNSPECIFIED")
    return {name.removeprefix(prefix).lower(): value for name, value in named}


def enum_value(field: str, enum: EnumType[_Value], given: str | int | None) -> _Value:
    """Return the value of an enum that is given by its number, short name or full name.

    None gives 0, unset. Raises ValueError, with the names there are, for any other.
    """
    for name, value in enum.items():
        if given == value or (given is None and value == 0):
            return value
        if isinstance(given, str) and given.upper() == name:
            return value
    names = short_names(enum)
    found = names.get(given.lower()) if isinstance(given, str) else None
    if found is None:
        raise ValueError(f"{field}: {given!r} is none of {', '.join(names)}")
    return found


def enum_values(field: str, enum: EnumType[_Value], given: Iterable[str | int]) -> list[_Value]:
    """Return the values of an enum that are given by number or name."""
    return [enum_value(field, enum, each) for each in given]
