"""Runs a program as if nothing stood in between: its output, its signals, its end."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from tocsin.cli.passing_through import Pump

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import FrameType

NOT_FOUND = 127
NOT_STARTED = 126
_BY_SIGNAL = 128
_LOOK_SECONDS = 1.0
_FORWARDED = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
)
# What a terminal sends, it sends to all processes in front of it: the child has it already.
_OF_A_TERMINAL = frozenset({signal.SIGINT, signal.SIGQUIT})


class Reader(Protocol):
    """Reads along what a program says, line by line."""

    def stdout(self, line: str) -> None:
        """Read a line of its standard output."""
        ...

    def stderr(self, line: str) -> None:
        """Read a line of its standard error."""
        ...


@dataclass
class Signals:
    """Signals that come for us: handed to the child while it runs, and to `after` then."""

    after: Callable[[], None]
    _child: subprocess.Popen[bytes] | None = None
    _early: int | None = None

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Handle signals during the block. One that is ignored, as under nohup, stays so."""
        before = {
            number: signal.signal(number, self._take)
            for number in _FORWARDED
            if signal.getsignal(number) is not signal.SIG_IGN
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def go_to(self, child: subprocess.Popen[bytes]) -> None:
        """Hand signals to the child from now on, and one that came while it was started."""
        self._child = child
        if self._early is not None:
            child.send_signal(self._early)

    def _take(self, number: int, _: FrameType | None) -> None:
        if self._child is None:
            self._early = number
        elif self._child.returncode is not None:
            if number in {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT}:
                self.after()
        elif number not in _OF_A_TERMINAL or not _is_in_front_of_a_terminal():
            self._child.send_signal(number)


def run(words: Sequence[str], reader: Reader, signals: Signals, begun: Callable[[], None]) -> int:
    """Run a program and return its exit code, 128 + n when it was ended by signal n.

    `begun` is called when it runs. What cannot be started is told to the reader, and ends with 127
    or 126 as in a shell.
    """
    try:
        child = subprocess.Popen(  # noqa: S603 - the user's own command line, no shell
            words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
        )
    except OSError as error:
        why = f"{words[0]}: {error.strerror}"
        reader.stderr(why)
        with suppress(OSError):  # nobody may be there to read it
            os.write(2, f"tocsin: {why}\n".encode(errors="replace"))
        return NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_STARTED
    signals.go_to(child)
    assert child.stdout is not None  # noqa: S101 - asked for above
    assert child.stderr is not None  # noqa: S101 - asked for above
    pumps = [Pump(child.stdout, 1, reader.stdout), Pump(child.stderr, 2, reader.stderr)]
    begun()
    code = _end_of(child)
    for pump in pumps:
        pump.finish()
    return code if code >= 0 else _BY_SIGNAL - code


def _end_of(child: subprocess.Popen[bytes]) -> int:
    """Wait for its end, and look up meanwhile.

    A signal that comes just before the wait begins, or that another thread is given, does not end
    the wait; its handler runs when that ends.
    """
    while True:
        with suppress(subprocess.TimeoutExpired):
            return child.wait(_LOOK_SECONDS)


def _is_in_front_of_a_terminal() -> bool:
    with suppress(OSError):
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
        try:
            return os.tcgetpgrp(terminal) == os.getpgrp()
        finally:
            os.close(terminal)
    return False
