"""The console channel."""

from __future__ import annotations

import io
import threading
from typing import TYPE_CHECKING

from support.notifications import a_channel, a_notification
from tocsin.notify.channels.console import ConsoleSender
from tocsin.notify.domain.channel import ConsoleConfig, Secrets
from tocsin.notify.domain.delivery import AttemptOutcome

if TYPE_CHECKING:
    import pytest

CHANNEL = a_channel(ConsoleConfig())


async def test_each_event_is_one_flushed_line() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    sender = ConsoleSender(lambda: stream)

    receipts = [await sender.send(a_notification(), CHANNEL, Secrets()) for _ in range(2)]
    await sender.close()

    written = stream.buffer.getvalue().decode()
    assert [AttemptOutcome.DELIVERED] * 2 == [receipt.outcome for receipt in receipts]
    assert 2 == len(written.splitlines())
    assert "RAISED: backup_failed on Web server (home)" in written


async def test_it_writes_to_the_standard_output_of_the_moment(
    capsys: pytest.CaptureFixture[str],
) -> None:
    sender = ConsoleSender()

    await sender.send(a_notification(), CHANNEL, Secrets())
    await sender.close()

    assert "backup_failed" in capsys.readouterr().out


async def test_what_the_terminal_cannot_show_becomes_a_mark() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    sender = ConsoleSender(lambda: stream)

    receipt = await sender.send(a_notification(note="ü"), CHANNEL, Secrets())
    await sender.close()

    assert AttemptOutcome.DELIVERED is receipt.outcome


class Broken(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError(32, "Broken pipe")


async def test_a_broken_pipe_is_to_be_tried_again() -> None:
    sender = ConsoleSender(Broken)

    receipt = await sender.send(a_notification(), CHANNEL, Secrets())
    await sender.close()

    assert AttemptOutcome.RETRY is receipt.outcome
    assert "Broken pipe" in receipt.detail


async def test_a_closed_stream_is_to_be_tried_again() -> None:
    stream = io.StringIO()
    stream.close()
    sender = ConsoleSender(lambda: stream)

    receipt = await sender.send(a_notification(), CHANNEL, Secrets())
    await sender.close()

    assert AttemptOutcome.RETRY is receipt.outcome


class Full(io.StringIO):
    def __init__(self, may_go_on: threading.Event) -> None:
        super().__init__()
        self._may_go_on = may_go_on

    def write(self, text: str) -> int:
        self._may_go_on.wait()
        return super().write(text)


async def test_a_pipe_that_nobody_reads_blocks_nothing_else() -> None:
    may_go_on = threading.Event()
    sender = ConsoleSender(lambda: stream, seconds=0.1)
    stream = Full(may_go_on)

    stuck = await sender.send(a_notification(), CHANNEL, Secrets())
    waiting = await sender.send(a_notification(), CHANNEL, Secrets())
    may_go_on.set()
    after = await sender.send(a_notification(), CHANNEL, Secrets())
    await sender.close()

    assert AttemptOutcome.AMBIGUOUS is stuck.outcome
    assert AttemptOutcome.AMBIGUOUS is waiting.outcome
    assert AttemptOutcome.DELIVERED is after.outcome
    assert 2 == len(stream.getvalue().splitlines())
