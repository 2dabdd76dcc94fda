"""A PostgreSQL server of our own, for a machine that has none ready and for the tests.

It listens on 127.0.0.1 only and wants a password, which it keeps in a file that only its owner
can read: other users of the machine are kept out. Its folder:

    password    the password of the superuser `tocsin`
    cluster/    PostgreSQL's data
    server.log  what the server says
    lock        held as long as the program that started the server lives
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import asyncpg

from tocsin.common.postgres.account import reachable_programs, server_account
from tocsin.common.postgres.binaries import (
    Binaries,
    PostgresMissingError,
    find_all_binaries,
    find_binaries,
)
from tocsin.common.postgres.server_folder import ClusterError, ServerFolder

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = [
    "FAST_AND_FORGETFUL",
    "Binaries",
    "Cluster",
    "ClusterError",
    "PostgresMissingError",
    "find_all_binaries",
    "find_binaries",
]

FAST_AND_FORGETFUL: Final = {
    "fsync": "off",
    "full_page_writes": "off",
    "max_wal_size": "256MB",
}
"""Settings for tests: what was committed survives the server's death, not the machine's."""

_USER = "tocsin"
_READY_SECONDS = 30.0
_STOP_SECONDS = 30.0
_POLL_SECONDS = 0.01
# Below what systems hand out to outgoing connections: those would take the port of a server that
# restarts.
_PORTS = range(15_000, 32_000)
# A server killed a moment ago leaves children who need a moment to notice.
_STILL_DYING = "shared memory block"
_PORT_TAKEN = "could not bind"


class Cluster:
    """One server and its databases, in one folder.

    The port stays the same over restarts of one Cluster. `settings` are those of postgresql.conf.
    All methods block; none may be called from two threads at once.
    """

    def __init__(
        self,
        data_folder: Path,
        binaries: Binaries | None = None,
        *,
        settings: Mapping[str, str] | None = None,
        port: int | None = None,
    ) -> None:
        """Prepare a cluster; nothing is touched before `start`.

        `binaries` unset: those of the version that made the folder, else the first found. `port`
        unset: a free one.
        """
        self._binaries = binaries
        self._settings = dict(settings or {})
        self._port = port
        self._port_is_given = port is not None
        self._account = server_account()
        self._folder = ServerFolder(data_folder)
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        """The TCP port on 127.0.0.1."""
        if self._port is None:
            raise ClusterError("The server was never started: it has no port yet.")
        return self._port

    @property
    def pid(self) -> int | None:
        """The process id of the running server."""
        return None if self._server is None else self._server.pid

    @property
    def runs(self) -> bool:
        """Whether the server was started and has not ended, by `stop` or by itself."""
        return self._server is not None and self._server.poll() is None

    def start(self) -> None:
        """Make the cluster if the folder is empty, and start the server; return when it is ready.

        Raises ClusterError when a server already runs on the folder.
        """
        if self._server is not None:
            if self._server.poll() is None:
                raise ClusterError(f"The server already runs (pid {self._server.pid}).")
            self._gone()
        self._folder.open(self._account)
        try:
            self._folder.stop_orphan()
            if not self._folder.cluster.exists():
                self._initialise()
            self._start_server()
        except BaseException:
            self._folder.close()
            raise

    def stop(self) -> None:
        """Stop the server cleanly (SIGINT: open transactions roll back). Idempotent."""
        if self._server is None:
            return
        self._server.send_signal(signal.SIGINT)
        try:
            self._server.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._server.send_signal(signal.SIGQUIT)
            self._server.wait(_STOP_SECONDS)
        self._gone()

    def kill(self) -> None:
        """End the server with SIGKILL, as a crash would. `start` recovers it. Idempotent."""
        if self._server is None:
            return
        self._server.kill()
        self._server.wait()
        self._gone()

    def url(self, database: str = "postgres") -> str:
        """Return the URL of a database, its password included."""
        password = self._folder.password.read_text().strip()
        return f"postgresql://{_USER}:{quote(password)}@127.0.0.1:{self.port}/{quote(database)}"

    def create_database(self, name: str, *, template: str | None = None) -> str:
        """Make a database, if there is none of that name, and return its URL."""
        source = f' TEMPLATE "{template}"' if template else ""
        with suppress(asyncpg.DuplicateDatabaseError):
            self._run_sql(f'CREATE DATABASE "{name}"{source}')
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Drop a database, ending the sessions on it."""
        self._run_sql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def _gone(self) -> None:
        self._server = None
        self._folder.close()

    def _run_sql(self, statement: str) -> None:
        async def run() -> None:
            connection = await asyncpg.connect(self.url(), timeout=10)
            try:
                await connection.execute(statement)
            finally:
                await connection.close()

        # In a thread of its own: the caller may be inside an event loop.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(lambda: asyncio.run(run())).result()

    def _initialise(self) -> None:
        binaries = self._binaries or find_binaries()
        password = self._folder.password
        password.touch(mode=0o600)
        password.write_text(secrets.token_urlsafe(24) + "\n")
        self._account.give(password)
        fresh = self._folder.cluster.with_name("cluster.new")
        shutil.rmtree(fresh, ignore_errors=True)
        command = [
            str(reachable_programs(self._account, binaries.folder) / "initdb"),
            *("--pgdata", str(fresh), "--username", _USER, "--pwfile", str(password)),
            *("--encoding", "UTF8", "--no-locale", "--auth", "scram-sha-256"),
            *(["--no-sync"] if self._settings.get("fsync") == "off" else []),
        ]
        answer = subprocess.run(  # noqa: S603 - the programs that were found
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=_environment(),
            cwd="/",
            **self._account.credentials,
        )
        if answer.returncode != 0:
            raise ClusterError(f"initdb failed in {self._folder}: {answer.stderr.strip()}")
        fresh.rename(self._folder.cluster)

    def _start_server(self) -> None:
        programs = self._programs_of_cluster()
        deadline = time.monotonic() + _READY_SECONDS
        takes_any_port = self._port is None
        while True:
            if takes_any_port:
                self._port = _free_port()
            said = self._try_to_start(programs, deadline)
            if said is None:
                return
            passes = _STILL_DYING in said or (_PORT_TAKEN in said and not self._port_is_given)
            if not passes or time.monotonic() > deadline:
                raise ClusterError(
                    f"PostgreSQL did not start on {self._folder}, port {self._port}: {said}"
                )
            time.sleep(_POLL_SECONDS)

    def _programs_of_cluster(self) -> Path:
        made_by = int((self._folder.cluster / "PG_VERSION").read_text())
        binaries = self._binaries or find_binaries(made_by)
        if binaries.major != made_by:
            raise ClusterError(
                f"{self._folder} was made by PostgreSQL {made_by}, and the programs in "
                f"{binaries.folder} are {binaries.version}. Use those of {made_by}, or another "
                f"folder."
            )
        return reachable_programs(self._account, binaries.folder)

    def _try_to_start(self, programs: Path, deadline: float) -> str | None:
        """Return None when the server is ready, else its last words."""
        settings = {
            **self._settings,
            "listen_addresses": "127.0.0.1",
            "port": str(self._port),
            "unix_socket_directories": "",
        }
        with self._folder.log.open("ab") as log:
            log_start = log.tell()
            self._server = subprocess.Popen(  # noqa: S603 - the programs that were found
                [
                    str(programs / "postgres"),
                    *("-D", str(self._folder.cluster)),
                    *(f"--{name}={value}" for name, value in settings.items()),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=_environment(),
                cwd="/",
                # A Ctrl-C at the terminal is for its starter, who stops it last.
                start_new_session=True,
                **self._account.credentials,
            )
        while self._server.poll() is None:
            if self._is_ready():
                return None
            if time.monotonic() > deadline:
                self.kill()
                return f"it was not ready within {_READY_SECONDS:.0f} s; see server.log there"
            time.sleep(_POLL_SECONDS)
        self._server = None
        return self._folder.log.read_bytes()[log_start:].decode(errors="replace").strip()

    def _is_ready(self) -> bool:
        try:
            lines = self._folder.pid_file.read_text().split("\n")
        except FileNotFoundError:
            return False
        # The first line is the pid, the eighth the state (src/include/utils/pidfile.h).
        return lines[0] == str(self.pid) and [line.strip() for line in lines[7:8]] == ["ready"]


def _environment() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}


def _free_port() -> int:
    while True:
        port = secrets.choice(_PORTS)
        with closing(socket.socket()) as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
