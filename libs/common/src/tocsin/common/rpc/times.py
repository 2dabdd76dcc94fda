"""google.protobuf.Timestamp to datetime and back, exact to the microsecond in every year."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from google.protobuf.timestamp_pb2 import Timestamp

if TYPE_CHECKING:
    from tocsin.common.errors import Violations

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_YEAR_1 = -62_135_596_800
_END_OF_YEAR_9999 = 253_402_300_799
_NANOS = 999_999_999
_DAY_SECONDS = 86_400


def to_timestamp(time: datetime) -> Timestamp:
    """Return an aware time as a Timestamp."""
    stamp = Timestamp()
    set_timestamp(stamp, time)
    return stamp


def set_timestamp(stamp: Timestamp, time: datetime) -> None:
    """Set a Timestamp, such as a field of a message, to an aware time."""
    since = time - _EPOCH
    stamp.seconds = since.days * _DAY_SECONDS + since.seconds
    stamp.nanos = since.microseconds * 1000


def from_timestamp(stamp: Timestamp) -> datetime:
    """Return a Timestamp in UTC; what is below a microsecond is dropped.

    Raises OverflowError outside of the years 1 to 9999.
    """
    return _EPOCH + timedelta(seconds=stamp.seconds, microseconds=stamp.nanos // 1000)


def read_timestamp(found: Violations, path: str, stamp: Timestamp) -> datetime | None:
    """Return a Timestamp that came from outside, or note why it is none."""
    if not _YEAR_1 <= stamp.seconds <= _END_OF_YEAR_9999:
        found.add(path, "must lie in the years 1 to 9999; seconds count from 1970-01-01T00:00:00Z")
        return None
    if not 0 <= stamp.nanos <= _NANOS:
        found.add(path, "must have nanos from 0 to 999,999,999")
        return None
    return from_timestamp(stamp)
