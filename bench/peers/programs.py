"""Other programs, as they come from their packages."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from bench import processes
from bench.load import LoadError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from pathlib import Path

_SERVING_SECONDS = 60
_STOP_SECONDS = 20
_LOOK_SECONDS = 0.02
_LAST_WORDS = 2_000


class Program:
    """A program that runs. Memory is that of all of its processes."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    @property
    def resident_mebibytes(self) -> float:
        return processes.memory_mebibytes(self._process.pid)

    @property
    def peak_mebibytes(self) -> float:
        return processes.memory_mebibytes(self._process.pid, "VmHWM")

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None


def find(*names: str) -> str | None:
    """Return the first of these programs that is installed."""
    return next((found for name in names if (found := shutil.which(name))), None)


@asynccontextmanager
async def running(
    command: Sequence[str], port: int, log: Path, environment: Mapping[str, str] | None = None
) -> AsyncIterator[Program]:
    """Run a program while it is used, from the moment at which it listens on a port."""
    # It is not to outlive us, however we end.
    tied = ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []
    with log.open("ab") as sink:
        process = await asyncio.to_thread(
            subprocess.Popen, [*tied, *command], stdin=subprocess.DEVNULL, stdout=sink,
            stderr=sink, env=environment, cwd=log.parent,
        )  # fmt: skip
    program = Program(process)
    try:
        await _until_it_listens(program, port, log)
        yield program
    finally:
        await asyncio.to_thread(_stop, process)


async def _until_it_listens(program: Program, port: int, log: Path) -> None:
    end = time.monotonic() + _SERVING_SECONDS
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            if program.has_ended or time.monotonic() > end:
                raise LoadError(f"{log.stem} did not serve: {_last_words(log)}") from None
            await asyncio.sleep(_LOOK_SECONDS)
        else:
            writer.close()
            return


def _last_words(log: Path) -> str:
    return log.read_text(errors="replace")[-_LAST_WORDS:]


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
