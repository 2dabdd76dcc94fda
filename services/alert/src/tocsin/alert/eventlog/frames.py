"""Messages of the stream, put together from bytes: each event is serialised once for everybody.

The fields of a protobuf message may come in any order, a message is its fields one after the
other, and what comes twice of a message is merged
(https://protobuf.dev/programming-guides/encoding). So an event with its position is the payload
that the log keeps and the position behind it, and a WatchEventsResponse is a join of frames: each
one field of it, its tag and length included.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from uuid import UUID

# Tags: number of the field times 8, plus 2 for what has a length and 0 for a varint.
_RESPONSE_EVENT = b"\x0a"
_RESPONSE_ALERT = b"\x12"
_RESPONSE_POSITION = b"\x1a"
_RESPONSE_CAUGHT_UP = b"\x20\x01"
_RESPONSE_SNAPSHOT_COMPLETE = b"\x28\x01"
_EVENT_POSITION = b"\x0a"
_POSITION_EPOCH = b"\x0a\x24"  # a UUID has 36 characters
_POSITION_REVISION = b"\x10"

_LOW_BITS = 0x7F
_LOW = [bytes((0x80 | low,)) for low in range(0x80)]  # the lowest seven bits, and more follow
_SINGLE = [bytes((number,)) for number in range(0x80)]
# Those of nearly all lengths, a quarter of a MiB: looked up, they take a third of the time.
_SHORT = [*_SINGLE, *(low + high for high in _SINGLE[1:32] for low in _LOW)]
_ALL_SHORT = len(_SHORT)
_LONGEST = 9


def framing(epoch: UUID) -> Callable[[int, bytes], bytes]:
    """Return what makes frames of the events of an epoch: of a revision and a payload."""
    prefixes = _position_prefixes(_EVENT_POSITION, epoch)

    def frame(revision: int, payload: bytes) -> bytes:
        number = varint(revision)
        prefix = prefixes[len(number)]
        size = varint(len(payload) + len(prefix) + len(number))
        return b"".join((_RESPONSE_EVENT, size, payload, prefix, number))

    return frame


def alert_frame(alert: bytes) -> bytes:
    """Return the frame of a serialised alert of a snapshot."""
    return _RESPONSE_ALERT + varint(len(alert)) + alert


def message(
    frames: Iterable[bytes],
    epoch: UUID,
    revision: int,
    *,
    caught_up: bool = False,
    snapshot_complete: bool = False,
) -> bytes:
    """Return a serialised WatchEventsResponse of frames, at a position."""
    number = varint(revision)
    return b"".join(
        (
            *frames,
            _position_prefixes(_RESPONSE_POSITION, epoch)[len(number)],
            number,
            _RESPONSE_CAUGHT_UP if caught_up else b"",
            _RESPONSE_SNAPSHOT_COMPLETE if snapshot_complete else b"",
        )
    )


@lru_cache(8)
def _position_prefixes(tag: bytes, epoch: UUID) -> tuple[bytes, ...]:
    """Return what comes of a position before its revision, by the bytes that that one takes."""
    begin = _POSITION_EPOCH + str(epoch).encode() + _POSITION_REVISION
    return tuple(tag + varint(len(begin) + size) + begin for size in range(_LONGEST + 1))


def varint(number: int) -> bytes:
    """Return a number from 0 to 2⁶³ - 1 as seven bits to a byte, the lowest first."""
    if number < _ALL_SHORT:
        return _SHORT[number]
    return _LOW[number & _LOW_BITS] + _high(number >> 7)


# Of numbers that follow each other, and of lengths that are alike, it is the same.
@lru_cache(1024)
def _high(number: int) -> bytes:
    return varint(number)
