"""The data folder of a stack: one stack at a time, and a secret key that is made once."""

from __future__ import annotations

import base64
import fcntl
import os
import re
import secrets
import time
from typing import TYPE_CHECKING

from tocsin.cli.exits import CommandError, ExitCode

if TYPE_CHECKING:
    from pathlib import Path

_LOCK = "stack.lock"
_KEY_FILE = "notify-secret-key"
_KEY_BYTES = 32
_CHANNEL_MARK = "console-channel-made"
_PARTS_STOP_SECONDS = 20.0  # more than a part is given to stop when its stack has gone
_POLL_SECONDS = 0.05


class DataFolder:
    """A folder that one stack at a time keeps its data in."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._lock: int | None = None

    def take(self, description: str) -> None:
        """Make the folder and lock it until `release` or the end of all who hold it.

        `description` begins with `pid N`. A stack that was killed leaves parts that stop by
        themselves: they are waited for. Raises CommandError that tells the holder's description
        when another stack has it.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise CommandError(
                f"The data folder {self.path} cannot be used: {error.strerror}. "
                "Name another one with --data.",
                ExitCode.NOT_STARTED,
            ) from None
        if not _locked(lock):
            holder = os.pread(lock, 1024, 0).decode(errors="replace").strip()
            if _runs(holder) or not _locked_in_time(lock):
                os.close(lock)
                raise CommandError(_already_running(self.path, holder), ExitCode.NOT_STARTED)
        os.truncate(lock, 0)
        os.write(lock, description.encode())
        self._lock = lock

    @property
    def lock(self) -> tuple[int, ...]:
        """The descriptor of the lock, for the parts: they hold it as long as they run."""
        return () if self._lock is None else (self._lock,)

    def release(self) -> None:
        """Let another stack have the folder."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def log(self, name: str) -> Path:
        """Return where the log of one part goes."""
        folder = self.path / "log"
        folder.mkdir(exist_ok=True)
        return folder / f"{name}.log"

    def secret_key_file(self) -> Path:
        """Return the file with the key that seals channel secrets, made when there is none.

        It holds 32 random bytes in base64 and is readable by its owner only. Losing it loses the
        channels' secrets.
        """
        path = self.path / _KEY_FILE
        if not path.exists():
            draft = path.with_suffix(".new")
            draft.unlink(missing_ok=True)
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as new:
                new.write(base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode() + "\n")
            draft.rename(path)  # whole or not at all
        return path

    @property
    def console_channel_made(self) -> bool:
        """Whether a console channel was made once, so that a deleted one stays deleted."""
        return (self.path / _CHANNEL_MARK).exists()

    def mark_console_channel_made(self) -> None:
        """Remember that a console channel was made or found."""
        (self.path / _CHANNEL_MARK).touch()


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _locked_in_time(lock: int) -> bool:
    deadline = time.monotonic() + _PARTS_STOP_SECONDS
    while not _locked(lock):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _runs(holder: str) -> bool:
    """Whether the process that the description names is there."""
    named = re.match(r"pid (\d+)", holder)
    try:
        os.kill(int(named[1]), 0) if named else None
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it is another user's
    return True


def _already_running(path: Path, holder: str) -> str:
    return (
        f"Tocsin is already running with its data in {path} ({holder}). Nothing was changed.\n"
        "Use that one, stop it with Ctrl-C or `kill PID`, or start another beside it:\n"
        "  tocsin up --data .local/second --alert-port 7170 --notify-port 7171"
    )
