"""As much of HTTP/2 (RFC 9113, RFC 7541) as a client needs that calls one method over and over."""

from __future__ import annotations

import struct
from typing import NamedTuple

DATA, HEADERS, RESET, SETTINGS, PING, GO_AWAY, WINDOW_UPDATE = 0x0, 0x1, 0x3, 0x4, 0x6, 0x7, 0x8
END_STREAM, END_HEADERS, ACK = 0x1, 0x4, 0x1

FIRST_WINDOW = 65_535
"""How much may be sent at first, on a connection and on a stream, in bytes."""

LARGEST_PAYLOAD = 16_384
"""The largest frame that a server takes unless it says otherwise."""

_HEAD = struct.Struct(">BHBBI")  # length in 8 + 16 bits, kind, flags, stream
_LARGEST_WINDOW = 2**31 - 1


class Frame(NamedTuple):
    kind: int
    flags: int
    stream: int
    payload: bytes


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Return a frame as it is sent."""
    length = len(payload)
    return _HEAD.pack(length >> 16, length & 0xFFFF, kind, flags, stream) + payload


def take_frames(received: bytearray) -> list[Frame]:
    """Take the whole frames from the front of what was received; the rest stays."""
    frames = []
    at = 0
    while len(received) - at >= _HEAD.size:
        high, low, kind, flags, stream = _HEAD.unpack_from(received, at)
        end = at + _HEAD.size + (high << 16 | low)
        if end > len(received):
            break
        frames.append(Frame(kind, flags, stream, bytes(received[at + _HEAD.size : end])))
        at = end
    del received[:at]
    return frames


def opening() -> bytes:
    """Return what a client says first: it takes whatever comes, and wants no header table."""
    settings = struct.pack(">HIHI", 0x1, 0, 0x4, _LARGEST_WINDOW)
    more = struct.pack(">I", _LARGEST_WINDOW - FIRST_WINDOW)
    return (
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        + frame(SETTINGS, 0, 0, settings)
        + frame(WINDOW_UPDATE, 0, 0, more)
    )


def more_window(count: int) -> bytes:
    """Return the frame that lets the server send so many bytes more."""
    return frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", count))


def call_headers(target: str, method: str) -> bytes:
    """Return the header block of a gRPC call, the same for each call: nothing is indexed."""
    fields = (
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", method.encode()),
        (b":authority", target.encode()),
        (b"te", b"trailers"),
        (b"content-type", b"application/grpc"),
    )
    return b"".join(b"\0" + _text(name) + _text(value) for name, value in fields)


def _text(value: bytes) -> bytes:
    """Return a string without Huffman coding. The length stands in the first seven bits."""
    assert len(value) < 127, "a longer one would need a longer length"
    return bytes([len(value)]) + value
