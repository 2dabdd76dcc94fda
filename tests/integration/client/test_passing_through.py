"""What stands between a program and its reader changes nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from tocsin.cli.passing_through import Lines, Pump

if TYPE_CHECKING:
    from collections.abc import Callable

WITHIN_SECONDS = 30


def program(code: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    )


def passed_on(code: str, read: Callable[[str], None]) -> tuple[bytes, int]:
    """Run a program through a pump, and return what came out at the far end."""
    far, near = os.pipe()
    collected = list[bytes]()

    def collect() -> None:
        while chunk := os.read(far, 1 << 16):
            collected.append(chunk)

    collector = threading.Thread(target=collect)
    collector.start()
    child = program(code)
    assert child.stdin is not None
    child.stdin.close()
    assert child.stdout is not None
    pump = Pump(child.stdout, near, read)
    child.wait()
    pump.finish()
    os.close(near)
    collector.join()
    os.close(far)
    return b"".join(collected), child.returncode


@given(st.lists(st.binary()))
def test_lines_are_the_same_however_they_are_cut(chunks: list[bytes]) -> None:
    whole, parts = list[str](), list[str]()
    one, many = Lines(whole.append), Lines(parts.append)
    one.feed(b"".join(chunks))
    one.close()
    for chunk in chunks:
        many.feed(chunk)
    many.close()
    assert whole == parts


def test_a_line_is_read_up_to_a_bound() -> None:
    read = list[str]()
    lines = Lines(read.append)
    for _ in range(100):
        lines.feed(b"x" * 10_000)
    lines.feed(b"\nnext\n")
    assert [1 << 18, 4] == [len(line) for line in read]


def test_a_reader_that_fails_is_asked_no_more() -> None:
    asked = list[str]()

    def fail(line: str) -> None:
        asked.append(line)
        raise ValueError(line)

    lines = Lines(fail)
    lines.feed(b"one\ntwo\n")
    assert ["one"] == asked


def test_every_byte_is_passed_on() -> None:
    read = list[str]()
    code = "import os; [os.write(1, bytes(range(256)) * 1000) for _ in range(8)]"
    out, _ = passed_on(code, read.append)
    assert bytes(range(256)) * 8000 == out
    assert 8001 == len(read)


def test_what_came_right_before_the_end_is_passed_on() -> None:
    class Late(Pump):
        def _run(self) -> None:
            """Never get to it, as on a busy machine."""

    far, near = os.pipe()
    child = program("import os; os.write(1, b'x' * 60_000); os._exit(0)")
    assert child.stdin is not None
    assert child.stdout is not None
    pump = Late(child.stdout, near, lambda _: None)
    child.wait(WITHIN_SECONDS)
    pump.finish()
    assert 60_000 == len(os.read(far, 100_000))
    for end in (near, far):
        os.close(end)
    child.stdin.close()


def test_a_grandchild_that_keeps_the_pipe_does_not_hold_up_the_end() -> None:
    far, near = os.pipe()
    child = program(
        "import subprocess, sys\n"
        "subprocess.Popen([sys.executable, '-c', 'import sys; sys.stdin.read()'])\n"
        "print('done', flush=True)"
    )
    assert child.stdin is not None
    assert child.stdout is not None
    read = list[str]()
    pump = Pump(child.stdout, near, read.append)
    child.wait()
    pump.finish()
    assert ["done"] == read
    assert b"done\n" == os.read(far, 100)
    child.stdin.close()  # ends the grandchild, and with it the pipe
    pump._thread.join(WITHIN_SECONDS)
    child.stdout.close()
    os.close(near)
    os.close(far)


def test_a_program_learns_that_its_reader_has_gone() -> None:
    far, near = os.pipe()
    os.close(far)
    child = program(
        "import os, signal\n"
        "signal.signal(signal.SIGPIPE, signal.SIG_DFL)\n"
        "while True: os.write(1, b'x' * 9999)"
    )
    assert child.stdin is not None
    assert child.stdout is not None
    pump = Pump(child.stdout, near, lambda _: None)
    assert -signal.SIGPIPE == child.wait(WITHIN_SECONDS)
    pump.finish()
    child.stdin.close()
    os.close(near)
