"""Calls at a steady rate over plain HTTP/2, each sent at the moment at which it is due.

An event loop counts its waiting in whole milliseconds (epoll_wait(2)), and a gRPC client in Python
takes half of one for a call: both would count as the server's. Moments are `time.monotonic_ns`,
which all processes of a machine share.
"""

from __future__ import annotations

import select
import socket
import struct
import time
from typing import TYPE_CHECKING, NamedTuple

from bench import frames
from bench.bodies import failure, framed
from bench.load import LoadError

if TYPE_CHECKING:
    from collections.abc import Sequence

_PATIENCE_SECONDS = 30.0
_AHEAD_NANOSECONDS = 100_000_000
_RECEIVED_BYTES = 65_536
# Far below what tocsin-alert lets a connection have: what waits for its turn meanwhile is late.
_MOST_UNDER_WAY = 100


class Steady(NamedTuple):
    """How many calls were made a second, and how many milliseconds after it was due each ended."""

    rate: float
    late: list[float]


def raise_steadily(target: str, method: str, name: str, *, rate: int, seconds: float) -> Steady:
    """Send reports of new failures at a steady rate, whatever the answers do.

    The message of each is the moment at which it was due: what a late start adds counts too.
    Before them one is sent whose message is 0, to warm up. Raises LoadError when one fails. For a
    process of its own.
    """
    total = round(rate * seconds)
    with socket.create_connection(_address(target)) as connection:
        calling = _Calling(connection, frames.call_headers(target, method))
        calling.call_all([0], [failure(name, total, "0").SerializeToString()])
        begin = time.monotonic_ns() + _AHEAD_NANOSECONDS
        due = [begin + number * 1_000_000_000 // rate for number in range(total)]
        bodies = [
            failure(name, number, str(moment)).SerializeToString()
            for number, moment in enumerate(due)
        ]
        return Steady(rate, calling.call_all(due, bodies))


def _address(target: str) -> tuple[str, int]:
    host, _, port = target.partition(":")
    return host, int(port)


class _Calling:
    """One connection, on which one method is called."""

    def __init__(self, connection: socket.socket, headers: bytes) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(frames.opening())
        self._connection = connection
        self._headers = headers
        self._received = bytearray()
        self._window = frames.FIRST_WINDOW
        self._stream = -1
        self._due: dict[int, int] = {}
        self._answered: set[int] = set()
        self._late: list[float] = []

    def call_all(self, due: Sequence[int], bodies: Sequence[bytes]) -> list[float]:
        """Send each body when it is due, and return how late each answer was, in milliseconds."""
        self._late = []
        for moment, body in zip(due, bodies, strict=True):
            message = framed(body)
            while (left := moment - time.monotonic_ns()) > 0 or not self._may_send(message):
                self._receive(left / 1e9 if left > 0 else _PATIENCE_SECONDS)
            self._send(moment, message)
        end = time.monotonic() + _PATIENCE_SECONDS
        while len(self._late) < len(due):
            if time.monotonic() > end:
                raise LoadError(f"{len(due) - len(self._late)} of {len(due)} calls got no answer.")
            self._receive(1.0)
        return self._late

    def _may_send(self, message: bytes) -> bool:
        return len(message) <= self._window and len(self._due) < _MOST_UNDER_WAY

    def _send(self, due: int, message: bytes) -> None:
        self._stream += 2
        self._window -= len(message)
        self._due[self._stream] = due
        self._connection.sendall(
            frames.frame(frames.HEADERS, frames.END_HEADERS, self._stream, self._headers)
            + frames.frame(frames.DATA, frames.END_STREAM, self._stream, message)
        )

    def _receive(self, seconds: float) -> None:
        """Take what comes, waiting no longer than so: select(2) counts in microseconds."""
        readable, _, _ = select.select([self._connection], [], [], seconds)
        if not readable:
            return
        data = self._connection.recv(_RECEIVED_BYTES)
        if not data:
            raise LoadError("The server closed the connection.")
        now = time.monotonic_ns()
        self._received += data
        for each in frames.take_frames(self._received):
            self._take(each, now)

    def _take(self, taken: frames.Frame, now: int) -> None:
        is_answer = bool(taken.flags & frames.ACK)
        if taken.kind == frames.DATA:
            self._answered.add(taken.stream)
        elif taken.kind == frames.HEADERS and taken.flags & frames.END_STREAM:
            self._finish(taken.stream, now)
        elif taken.kind == frames.WINDOW_UPDATE and taken.stream == 0:
            self._window += struct.unpack(">I", taken.payload)[0]
        elif taken.kind == frames.SETTINGS and not is_answer:
            self._connection.sendall(frames.frame(frames.SETTINGS, frames.ACK, 0))
        elif taken.kind == frames.PING and not is_answer:
            self._connection.sendall(frames.frame(frames.PING, frames.ACK, 0, taken.payload))
        elif taken.kind in {frames.RESET, frames.GO_AWAY}:
            raise LoadError(f"The server ended it: {taken}")

    def _finish(self, stream: int, now: int) -> None:
        # gRPC tells an error in the trailers alone: an answer without a message is none.
        if stream not in self._answered:
            raise LoadError("A call failed.")
        self._answered.remove(stream)
        self._late.append((now - self._due.pop(stream)) / 1e6)
