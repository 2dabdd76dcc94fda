"""A signal reaches the program, whichever thread of ours it is given to."""

from __future__ import annotations

import signal
import sys
import threading
from typing import TYPE_CHECKING

from tocsin.cli.running import Signals, run

if TYPE_CHECKING:
    from collections.abc import Callable

PROGRAM = """
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
print("ready", flush=True)
raise SystemExit(signal.sigtimedwait({signal.SIGTERM}, 60) is None)
"""


class Told:
    """Calls a function when the program has said something."""

    def __init__(self, function: Callable[[], None]) -> None:
        self._function = function

    def stdout(self, line: str) -> None:
        self._function()

    def stderr(self, line: str) -> None:
        raise AssertionError(line)


def test_a_signal_that_another_thread_is_given_reaches_the_program() -> None:
    def take_it_here() -> None:
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

    signals = Signals(after=lambda: None)
    with signals.handled():
        code = run([sys.executable, "-c", PROGRAM], Told(take_it_here), signals, lambda: None)

    assert 0 == code
