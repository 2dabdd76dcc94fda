"""What is measured: a PostgreSQL cluster of its own that forgets nothing, and the real services.

Everything is a process of its own, lies in one folder, and is gone afterwards.
"""

from __future__ import annotations

import asyncio
import base64
import os
import secrets
import subprocess
import tempfile
import time
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

import asyncpg

from bench import processes
from bench.load import LoadError
from tocsin.cli.stack.child import Child
from tocsin.cli.stack.databases import read_announcement
from tocsin.cli.stack.health import is_serving
from tocsin.cli.stack.ports import free_port
from tocsin.cli.stack.stack import LOOPBACK_NETWORKS
from tocsin.common.postgres.binaries import BINARIES_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.echo import EchoLoop

ROOT = Path(__file__).resolve().parents[1]

_LOOK_SECONDS = 0.005
_SERVING_SECONDS = 60.0
# Without one of these a figure would be that of a database that forgets.
_DURABLE = ("fsync", "synchronous_commit", "full_page_writes")


class Server:
    """A running server of the bench. `start_seconds` is from its start until it served."""

    def __init__(self, child: Child, target: str, start_seconds: float) -> None:
        self.target = target
        self.start_seconds = start_seconds
        self._child = child

    def stop(self) -> None:
        """Stop it and wait. Idempotent."""
        self._child.stop()

    @property
    def resident_mebibytes(self) -> float:
        """How much memory it holds now, with the processes that it has started."""
        return processes.memory_mebibytes(self._child.pid)

    @property
    def peak_mebibytes(self) -> float:
        """How much memory it has held at most since its start."""
        return processes.memory_mebibytes(self._child.pid, "VmHWM")

    @property
    def cpu_seconds(self) -> float:
        """How much time of a core it has used so far, with the processes that it has started."""
        return processes.cpu_seconds(self._child.pid)


class Ground:
    """Starts what is measured, and ends all of it at the end of the block.

    `parent` is where its folder is made: it must be on a real disk for the figures to hold.
    """

    def __init__(self, parent: Path | None = None) -> None:
        self._parent = parent
        self._ends = ExitStack()
        self._numbers = count(1)
        self._databases: list[str] = []
        self._servers: list[Server] = []
        self._folder = Path()
        self._postgres = ""
        self._postgres_pid = 0
        self._secret_key = base64.b64encode(secrets.token_bytes(32)).decode()

    def __enter__(self) -> Self:
        with self._ends:
            temporary = tempfile.TemporaryDirectory(prefix="tocsin-bench-", dir=self._parent)
            self._folder = Path(self._ends.enter_context(temporary))
            self._folder.chmod(0o711)  # PostgreSQL may run under an account of its own
            self._postgres = self._start_postgres()
            self._ends = self._ends.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()

    @property
    def folder(self) -> Path:
        return self._folder

    @property
    def postgres_cpu_seconds(self) -> float:
        """How much time of a core PostgreSQL has used so far, but for sessions that have ended."""
        return processes.cpu_seconds(self._postgres_pid)

    async def new_database(self) -> str:
        """Make an empty database and return its URL."""
        name = f"bench_{next(self._numbers)}"
        await self._execute(f"CREATE DATABASE {name}")
        self._databases.append(name)
        return urlsplit(self._postgres)._replace(path=f"/{name}").geturl()

    async def clear(self) -> None:
        """Stop the services and drop the databases: what comes next has the machine for itself."""
        while self._servers:
            self._servers.pop().stop()
        while self._databases:
            await self._execute(f"DROP DATABASE {self._databases.pop()} WITH (FORCE)")

    async def describe_postgres(self) -> str:
        """Return the version of the server. Raises LoadError unless what it commits is durable."""
        connection = await asyncpg.connect(self._postgres)
        try:
            settings = [await connection.fetchval(f"SHOW {name}") for name in _DURABLE]
            version: str = await connection.fetchval("SHOW server_version")
        finally:
            await connection.close()
        if set(settings) != {"on"}:
            raise LoadError(f"{', '.join(_DURABLE)} must be on, and are {', '.join(settings)}.")
        return f"{version}, {', '.join(f'{name} on' for name in _DURABLE)}, else as it comes"

    async def alert(self, database_url: str, *, workers: int = 1) -> Server:
        """Start tocsin-alert, of so many processes."""
        environment = {"TOCSIN_ALERT_DATABASE_URL": database_url}
        if workers > 1:
            environment["TOCSIN_ALERT_WORKERS"] = str(workers)
        return await self._service("alert", environment)

    async def notify(self, database_url: str, alert_target: str) -> Server:
        """Start tocsin-notify, which may call this machine."""
        environment = {
            "TOCSIN_NOTIFY_DATABASE_URL": database_url,
            "TOCSIN_NOTIFY_ALERT_TARGET": alert_target,
            "TOCSIN_NOTIFY_SECRET_KEY": self._secret_key,
            "TOCSIN_NOTIFY_ALLOWED_NETWORKS": LOOPBACK_NETWORKS,
        }
        return await self._service("notify", environment)

    async def echo(self, *, loop: EchoLoop = "asyncio", port: int = 0) -> Server:
        """Start a bare echo. Several may be given the same port: they share it."""
        port = port or free_port()
        return await self._bare("echo", port, loop)

    async def bare_batch(self, database_url: str, *, raises: bool) -> Server:
        """Start a server that does the least for batches, with the tables of bench.alone."""
        what = "raise" if raises else "touch"
        return await self._bare("bare_batch", free_port(), database_url, what)

    async def _bare(self, name: str, port: int, *arguments: str) -> Server:
        child = self._start(name, f"bench.{name}", [str(port), *arguments], {})
        server = Server(child, f"127.0.0.1:{port}", 0.0)
        await self._until_it_listens(child, port)
        return self._kept(server)

    async def _service(self, name: str, environment: Mapping[str, str]) -> Server:
        target = f"127.0.0.1:{free_port()}"
        listen = {f"TOCSIN_{name.upper()}_LISTEN": target}
        nobody_asked = {f"TOCSIN_{name.upper()}_INSECURE_DEV": "true"}
        begin = time.perf_counter()
        child = self._start(
            name, f"tocsin.{name}", ["serve"], {**environment, **listen, **nobody_asked}
        )
        while not await asyncio.to_thread(is_serving, target):
            _require_life(child, begin)
            await asyncio.sleep(_LOOK_SECONDS)
        return self._kept(Server(child, target, time.perf_counter() - begin))

    def _kept(self, server: Server) -> Server:
        self._servers.append(server)
        return server

    async def _execute(self, statement: str) -> None:
        connection = await asyncpg.connect(self._postgres)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    async def _until_it_listens(self, child: Child, port: int) -> None:
        begin = time.perf_counter()
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                _require_life(child, begin)
                await asyncio.sleep(_LOOK_SECONDS)
            else:
                writer.close()
                return

    def _start_postgres(self) -> str:
        folder = str(self._folder / "postgres")
        child = self._start("postgres", "tocsin.cli.stack.databases", [folder], {}, subprocess.PIPE)
        self._postgres_pid = child.pid
        announced = child.output.readline()
        if not announced:
            raise LoadError(f"PostgreSQL did not start: {child.last_words()}")
        return read_announcement(announced).alert

    def _start(
        self,
        name: str,
        module: str,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        output: int | None = None,
    ) -> Child:
        log = self._folder / f"{name}.log"
        child = Child(
            name,
            module,
            arguments,
            environment={**_environment(), **environment},
            log=log,
            output=output,
        )
        self._ends.callback(child.stop)
        return child


def _require_life(child: Child, begin: float) -> None:
    waited = time.perf_counter() - begin
    if child.exit_code() is not None or waited > _SERVING_SECONDS:
        raise LoadError(f"{child.name} did not serve: {child.last_words()}")


def _environment() -> dict[str, str]:
    """Return ours without settings of services: those that are measured have their defaults.

    They may write their bytecode, which the first start does: what is installed has it, too.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if name == BINARIES_VARIABLE or not name.startswith(("TOCSIN_", "PYTHONDONTWRITE"))
    }
    return {**kept, "PYTHONPATH": str(ROOT)}
