"""The folder of one PostgreSQL server of ours, and who may use it.

password    the password of the superuser `tocsin`
cluster/    PostgreSQL's data
server.log  what the server says
lock        held as long as the program that started the server lives
"""

from __future__ import annotations

import fcntl
import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tocsin.common.postgres.account import reachable_folder

if TYPE_CHECKING:
    from tocsin.common.postgres.account import Account

_STOP_SECONDS = 30.0
_POLL_SECONDS = 0.01


class ClusterError(Exception):
    """The server cannot be made, started or stopped; the message says why and what to do."""


class ServerFolder:
    """A folder that one program at a time may hold open."""

    def __init__(self, wanted: Path) -> None:
        self._wanted = wanted
        self._real = wanted
        self._lock: int | None = None

    def __str__(self) -> str:
        return str(self._wanted)

    @property
    def cluster(self) -> Path:
        return self._real / "cluster"

    @property
    def password(self) -> Path:
        return self._real / "password"

    @property
    def log(self) -> Path:
        return self._real / "server.log"

    @property
    def pid_file(self) -> Path:
        return self.cluster / "postmaster.pid"

    def open(self, account: Account) -> None:
        """Make the folder where the account can reach it, and hold it until `close`.

        Raises ClusterError when another program holds it, or it cannot be made.
        """
        try:
            self._real = reachable_folder(account, self._wanted)
        except OSError as error:
            raise ClusterError(
                f"{self} cannot be made a folder for PostgreSQL: {error}. Use another folder."
            ) from error
        lock = os.open(self._real / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(lock, 32).decode() or "unknown"
            os.close(lock)
            raise ClusterError(
                f"A PostgreSQL server already runs on {self}, started by process {holder} "
                f"(server pid {self.running_pid() or 'not yet known'}). Stop that one first, or "
                f"use another folder."
            ) from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        self._lock = lock

    def close(self) -> None:
        """Let others use the folder. Idempotent."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def running_pid(self) -> int | None:
        """Return the pid of a live server on this folder, whoever started it."""
        try:
            pid = int(self.pid_file.read_text().split("\n", 1)[0])
            os.kill(pid, 0)
        except (OSError, ValueError):
            return None
        if not Path("/proc/self/cwd").exists():  # no way to know more
            return pid
        # By now the pid may be another program's, or a zombie's, which has no such link.
        with suppress(OSError):
            if Path(f"/proc/{pid}/cwd").readlink() == self.cluster.resolve():
                return pid
        return None

    def stop_orphan(self) -> None:
        """Stop a server whose starter died; forget a pid file that outlived its server."""
        pid = self.running_pid()
        if pid is not None:
            os.kill(pid, signal.SIGINT)
            deadline = time.monotonic() + _STOP_SECONDS
            while self.running_pid() == pid:
                if time.monotonic() > deadline:
                    raise ClusterError(
                        f"A PostgreSQL server that was left behind (pid {pid}) runs on {self} "
                        f"and does not stop. Stop it: kill -QUIT {pid}"
                    )
                time.sleep(_POLL_SECONDS)
        self.pid_file.unlink(missing_ok=True)
