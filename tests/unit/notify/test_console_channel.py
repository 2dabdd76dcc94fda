"""The console channel."""

from __future__ import annotations

import fcntl
import io
import os
import sys
from contextlib import contextmanager, suppress
from dataclasses import replace
from subprocess import DEVNULL, PIPE, Popen
from typing import TYPE_CHECKING

from support.notifications import ALERT, a_channel, a_notification
from tocsin.notify.channels.console import ConsoleSender
from tocsin.notify.domain.channel import ConsoleConfig, Secrets
from tocsin.notify.domain.delivery import AttemptOutcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

CHANNEL = a_channel(ConsoleConfig())


@contextmanager
def a_pipe(encoding: str = "utf-8") -> Iterator[tuple[io.TextIOWrapper, int]]:
    """Give a stream into a pipe, and the pipe's end to read from."""
    reading, writing = os.pipe()
    try:
        with os.fdopen(writing, "w", encoding=encoding) as stream:
            yield stream, reading
    finally:
        with suppress(OSError):
            os.close(reading)


def fill(writing: int) -> None:
    """Fill a pipe until it takes no more."""
    flags = fcntl.fcntl(writing, fcntl.F_GETFL)
    fcntl.fcntl(writing, fcntl.F_SETFL, flags | os.O_NONBLOCK)
    with suppress(BlockingIOError):
        while True:
            os.write(writing, b"\n" * 4096)
    fcntl.fcntl(writing, fcntl.F_SETFL, flags)


async def test_each_event_is_one_whole_line() -> None:
    with a_pipe() as (stream, reading):
        sender = ConsoleSender(lambda: stream)

        receipts = [await sender.send(a_notification(), CHANNEL, Secrets()) for _ in range(2)]
        await sender.close()

        written = os.read(reading, 65_536).decode()
    assert [AttemptOutcome.DELIVERED] * 2 == [receipt.outcome for receipt in receipts]
    assert 2 == len(written.splitlines())
    assert "RAISED: backup_failed on Web server (home)" in written


async def test_it_writes_to_the_standard_output_of_the_moment(
    capfd: pytest.CaptureFixture[str],
) -> None:
    sender = ConsoleSender()

    await sender.send(a_notification(), CHANNEL, Secrets())
    await sender.close()

    assert "backup_failed" in capfd.readouterr().out


async def test_what_the_terminal_cannot_show_becomes_a_mark() -> None:
    with a_pipe("ascii") as (stream, reading):
        sender = ConsoleSender(lambda: stream)

        alert = replace(ALERT, message="für die Katz")
        receipt = await sender.send(a_notification(alert=alert), CHANNEL, Secrets())
        await sender.close()

        assert AttemptOutcome.DELIVERED is receipt.outcome
        assert b"f?r die Katz" in os.read(reading, 65_536)


async def test_a_broken_pipe_is_to_be_tried_again() -> None:
    with a_pipe() as (stream, reading):
        sender = ConsoleSender(lambda: stream)
        os.close(reading)

        receipt = await sender.send(a_notification(), CHANNEL, Secrets())
        await sender.close()

    assert AttemptOutcome.RETRY is receipt.outcome
    assert "Broken pipe" in receipt.detail


async def test_a_stream_that_is_closed_or_was_never_there_is_to_be_tried_again() -> None:
    closed = io.StringIO()
    closed.close()
    for stream in (closed, None):
        sender = ConsoleSender(lambda stream=stream: stream)  # type: ignore[misc]

        receipt = await sender.send(a_notification(), CHANNEL, Secrets())
        await sender.close()

        assert AttemptOutcome.RETRY is receipt.outcome


async def test_a_pipe_that_nobody_reads_blocks_nothing_else() -> None:
    with a_pipe() as (stream, reading):
        fill(stream.fileno())
        sender = ConsoleSender(lambda: stream, seconds=0.1)

        stuck = await sender.send(a_notification(), CHANNEL, Secrets())
        waiting = await sender.send(a_notification(), CHANNEL, Secrets())
        written = bytearray()
        while b"alert_id" not in written:
            written += os.read(reading, 65_536)
        after = await sender.send(a_notification(), CHANNEL, Secrets())
        await sender.close()
        written += os.read(reading, 65_536)

    assert AttemptOutcome.AMBIGUOUS is stuck.outcome
    assert AttemptOutcome.AMBIGUOUS is waiting.outcome
    assert AttemptOutcome.DELIVERED is after.outcome
    assert 2 == written.count(b"alert_id")  # nobody waited for the second one any more


SENDS_ONCE = """
import asyncio
from support.notifications import a_channel, a_notification
from tocsin.notify.channels.console import ConsoleSender
from tocsin.notify.domain.channel import ConsoleConfig, Secrets

async def main():
    sender = ConsoleSender(seconds=0.1)
    await sender.send(a_notification(), a_channel(ConsoleConfig()), Secrets())
    await sender.close()

asyncio.run(main())
"""


def test_a_process_ends_although_nobody_reads_its_standard_output() -> None:
    with a_pipe() as (stream, _):
        fill(stream.fileno())
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        process = Popen(
            [sys.executable, "-c", SENDS_ONCE],
            stdin=DEVNULL,
            stdout=stream.fileno(),
            stderr=PIPE,
            env=environment,
        )
        try:
            _, errors = process.communicate(timeout=30)
        finally:
            process.kill()
    assert (0, b"") == (process.returncode, errors)
