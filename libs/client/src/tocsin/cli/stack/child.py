"""One process of the stack: started tied to us, stopped politely, its last words at hand."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_STOP_SECONDS = 12.0
_LAST_WORDS = 12


class Child:
    """A Python module running as a process that ends when we end, however we end.

    Its standard error goes to `log`. So does its standard output, unless `output` is given. It
    keeps the descriptors in `keeps` open as long as it runs.
    """

    def __init__(
        self,
        name: str,
        module: str,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str],
        log: Path,
        output: BinaryIO | int | None = None,
        keeps: Sequence[int] = (),
    ) -> None:
        self.name = name
        self.log = log
        command = [sys.executable, "-m", "tocsin.cli.stack.tether", module, *arguments]
        with log.open("ab") as sink:
            self._log_begin = sink.tell()
            self._process = subprocess.Popen(  # noqa: S603 - our own modules, no shell
                command,
                stdin=subprocess.PIPE,
                stdout=sink if output is None else output,
                stderr=sink,
                env=dict(environment),
                pass_fds=keeps,
                start_new_session=True,  # Ctrl-C reaches us only: we stop them in order
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def output(self) -> BinaryIO:
        """The read end of its standard output, when `output` was a pipe."""
        pipe = self._process.stdout
        assert pipe is not None  # noqa: S101 - asked for by who made the pipe
        return pipe  # type: ignore[return-value]  # IO[bytes] is what Popen calls it

    def exit_code(self) -> int | None:
        """Return its exit code, or None while it runs."""
        return self._process.poll()

    def stop(self) -> None:
        """Ask it to stop, wait, and kill it when it does not. Does nothing when it has ended."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
        self._close_pipes()

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()
        self._close_pipes()

    def last_words(self) -> str:
        """Return the end of what this run of it wrote to its log."""
        with self.log.open("rb") as source:
            source.seek(self._log_begin)
            written = source.read().decode(errors="replace").splitlines()
        return "\n".join(written[-_LAST_WORDS:])

    def _close_pipes(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
