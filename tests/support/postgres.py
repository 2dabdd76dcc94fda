"""Real PostgreSQL for tests: one server for the session, a fresh database for each test."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import tempfile
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from tocsin.common.postgres.embedded import (
    FAST_AND_FORGETFUL,
    Binaries,
    Cluster,
    PostgresMissingError,
    find_all_binaries,
    find_binaries,
)
from tocsin.common.postgres.migrator import migrate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_ROOM_BYTES = 4 << 30
SETTINGS = {**FAST_AND_FORGETFUL, "max_connections": "200", "log_min_messages": "warning"}


def chosen_binaries(choice: str) -> Sequence[Binaries]:
    """Return the versions that `--postgres` names: default, second, all, wheel, or a number."""
    if choice == "default":
        return [find_binaries()]
    found = find_all_binaries()
    if choice == "all":
        return found
    if choice == "second":
        return found[1:2]
    if choice == "wheel":
        return [binaries for binaries in found if binaries.source == "wheel"]
    if not choice.isdigit():
        raise PostgresMissingError(
            f"--postgres={choice}: write default, second, all, wheel or a major version"
        )
    return [find_binaries(int(choice))]


def migrations_of(service: str) -> Path:
    """Return the folder of a service's migrations."""
    spec = importlib.util.find_spec(f"tocsin.{service}.store")
    assert spec is not None, f"there is no tocsin.{service}.store"
    assert spec.origin is not None
    return Path(spec.origin).parent / "migrations"


def _roomy_memory() -> Path | None:
    """Return a file system in memory, if there is one with room for the tests."""
    memory = Path("/dev/shm")
    if os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > _ROOM_BYTES:
        return memory
    return None


@contextmanager
def data_folder() -> Iterator[Path]:
    """Give a folder for a cluster that the server's account can reach; removed afterwards.

    pytest's own folders are closed to other accounts, and so to the one that a server runs
    under when the tests run as root. It lies in memory where there is room: to copy a template
    there takes a tenth of the time.
    """
    parent = Path(tempfile.mkdtemp(prefix="tocsin-test-", dir=_roomy_memory()))
    parent.chmod(0o711)
    folder = parent / "data"
    try:
        yield folder
    finally:
        shutil.rmtree(folder.resolve(), ignore_errors=True)
        shutil.rmtree(parent, ignore_errors=True)


@contextmanager
def running_cluster(
    binaries: Binaries, settings: Mapping[str, str] = SETTINGS
) -> Iterator[Cluster]:
    """Give a running server in a folder of its own, both gone afterwards."""
    with data_folder() as folder:
        cluster = Cluster(folder, binaries, settings=settings)
        cluster.start()
        try:
            yield cluster
        finally:
            cluster.stop()


class NewDatabase(Protocol):
    async def __call__(self, schema: str = "empty") -> str:
        """Make a fresh database with the schema of "alert", "notify" or "empty": its URL."""
        ...


class PostgresServer:
    """A running cluster that hands out fresh databases.

    Each service's schema is migrated once, into a template; a database is a copy of it.
    """

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self._templates: dict[str, str] = {}
        self._numbers = count(1)

    async def fresh_database(self, schema: str = "empty") -> tuple[str, str]:
        """Make a database with the schema of "alert", "notify" or "empty": (name, url)."""
        template = None if schema == "empty" else await self._template(schema)
        name = f"test_{schema}_{next(self._numbers)}"
        url = await asyncio.to_thread(self.cluster.create_database, name, template=template)
        return name, url

    async def drop_database(self, name: str) -> None:
        await asyncio.to_thread(self.cluster.drop_database, name)

    async def _template(self, service: str) -> str:
        if service not in self._templates:
            name = f"template_{service}"
            url = await asyncio.to_thread(self.cluster.create_database, name)
            await migrate(url, migrations_of(service))
            self._templates[service] = name
        return self._templates[service]
