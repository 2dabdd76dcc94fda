"""The console: one line per event on the service's own standard output."""

from __future__ import annotations

import asyncio
import os
import sys
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, TextIO

from tocsin.notify.channels.base import SEND_SECONDS, ambiguous, delivered, may_pass
from tocsin.notify.channels.text import line
from tocsin.notify.domain.channel import ChannelType
from tocsin.notify.domain.channel_type import ChannelSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    from tocsin.notify.domain.channel import Channel, Secrets
    from tocsin.notify.domain.delivery import Receipt
    from tocsin.notify.domain.notice import Message

SPEC = ChannelSpec(
    type=ChannelType.CONSOLE,
    display_name="Console",
    description="Lines on the standard output of tocsin-notify.",
    fields=(),
    carries_digests=False,
    tracks_state=False,
    deduplicates=False,
)


class ConsoleSender:
    """Writes whole lines, one at a time.

    Standard output may be a pipe that nobody reads, and a full pipe blocks whoever writes to it. So
    a thread of its own writes, one that the end of the process does not wait for, past the buffer
    of Python, which is flushed at the end and would be waited for.
    """

    def __init__(
        self,
        stream: Callable[[], TextIO | None] = lambda: sys.stdout,
        *,
        seconds: float = SEND_SECONDS,
    ) -> None:
        self._stream = stream
        self._seconds = seconds
        self._lines: SimpleQueue[tuple[str, Future[None]] | None] = SimpleQueue()
        self._writer: Thread | None = None

    async def send(
        self,
        message: Message,
        channel: Channel,  # noqa: ARG002 - a console has no settings
        secrets: Secrets,  # noqa: ARG002
    ) -> Receipt:
        written: Future[None] = Future()
        self._lines.put((line(message), written))
        self._start_writer()
        try:
            await asyncio.wait_for(asyncio.wrap_future(written), self._seconds)
        except TimeoutError:
            return ambiguous(f"Standard output took no line within {self._seconds:g} s.")
        except (OSError, ValueError) as error:  # ValueError: the stream was closed
            return may_pass(f"Standard output cannot be written: {error}")
        return delivered("Written to standard output.")

    def _start_writer(self) -> None:
        if self._writer is None:
            self._writer = Thread(target=self._write_lines, name="console", daemon=True)
            self._writer.start()

    def _write_lines(self) -> None:
        while (given := self._lines.get()) is not None:
            text, written = given
            if not written.set_running_or_notify_cancel():
                continue  # nobody waits for it any more: it comes again
            try:
                self._write(text)
            except Exception as error:  # noqa: BLE001 - told to whoever waits
                written.set_exception(error)
            else:
                written.set_result(None)

    def _write(self, text: str) -> None:
        stream = self._stream()
        if stream is None:
            raise OSError("the service was started without one")
        # In an encoding that cannot write a character (LANG=C), a mark is better than nothing.
        rest = text.encode(stream.encoding or "utf-8", "replace") + b"\n"
        descriptor = stream.fileno()
        while rest:
            rest = rest[os.write(descriptor, rest) :]

    async def close(self) -> None:
        self._lines.put(None)
        self._writer = None
