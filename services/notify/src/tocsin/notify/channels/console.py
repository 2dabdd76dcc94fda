"""The console: one line per event on the service's own standard output."""

from __future__ import annotations

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TextIO

from tocsin.notify.channels.base import SEND_SECONDS, ambiguous, delivered, may_pass
from tocsin.notify.channels.text import line

if TYPE_CHECKING:
    from collections.abc import Callable

    from tocsin.notify.domain.channel import Channel, Secrets
    from tocsin.notify.domain.delivery import Receipt
    from tocsin.notify.domain.notification import Notification


class ConsoleSender:
    """Writes and flushes whole lines, one at a time.

    A thread of its own does it: standard output may be a pipe that nobody reads, and a full pipe
    blocks whoever writes to it.
    """

    def __init__(
        self, stream: Callable[[], TextIO] = lambda: sys.stdout, *, seconds: float = SEND_SECONDS
    ) -> None:
        self._stream = stream
        self._seconds = seconds
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="console")

    async def send(
        self,
        notification: Notification,
        channel: Channel,  # noqa: ARG002 - a console has no settings
        secrets: Secrets,  # noqa: ARG002
    ) -> Receipt:
        loop = asyncio.get_running_loop()
        written = loop.run_in_executor(self._writer, self._write, line(notification))
        try:
            await asyncio.wait_for(written, self._seconds)
        except TimeoutError:
            return ambiguous(f"Standard output took no line within {self._seconds:g} s.")
        except (OSError, ValueError) as error:  # ValueError: the stream was closed
            return may_pass(f"Standard output cannot be written: {error}")
        return delivered("Written to standard output.")

    def _write(self, text: str) -> None:
        stream = self._stream()
        # In an encoding that cannot write a character (LANG=C), a mark is better than nothing.
        encoding = stream.encoding or "utf-8"
        stream.write(text.encode(encoding, "replace").decode(encoding) + "\n")
        stream.flush()

    async def close(self) -> None:
        self._writer.shutdown(wait=False, cancel_futures=True)
