"""A real PgBouncer in transaction mode before a test's database."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from support.processes import free_port
from tocsin.common.postgres.account import server_account

if TYPE_CHECKING:
    from collections.abc import Iterator

_PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
_SECONDS = 30

needs_pgbouncer = pytest.mark.skipif(_PROGRAM is None, reason="no pgbouncer on this machine")


@contextmanager
def running_pgbouncer(*urls: str, pool_size: int) -> Iterator[list[str]]:
    """Run PgBouncer before databases, and give the URLs that lead through it.

    No more than `pool_size` sessions of each database serve all of its clients.
    """
    assert _PROGRAM is not None
    folder = Path(tempfile.mkdtemp(prefix="tocsin-pgbouncer-"))
    port = free_port()
    _configure(folder, urls, port=port, pool_size=pool_size)
    account = server_account()
    for path in (folder, *folder.iterdir()):
        account.give(path)
    process = subprocess.Popen(
        [_PROGRAM, str(folder / "pgbouncer.ini")],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **account.credentials,
    )
    try:
        _wait(process, port)
        yield [_through(url, port) for url in urls]
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder)


def _configure(folder: Path, urls: tuple[str, ...], *, port: int, pool_size: int) -> None:
    places = [urlsplit(url) for url in urls]
    databases = "\n".join(
        f"{place.path[1:]} = host={place.hostname} port={place.port} dbname={place.path[1:]}"
        for place in places
    )
    users = {f'"{place.username}" "{place.password}"' for place in places}
    (folder / "users.txt").write_text("\n".join(users) + "\n")
    (folder / "pgbouncer.ini").write_text(f"""\
[databases]
{databases}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = plain
auth_file = {folder}/users.txt
pool_mode = transaction
default_pool_size = {pool_size}
max_client_conn = 200
logfile = {folder}/log
""")


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + _SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert process.poll() is None, "pgbouncer ended at its start"
            assert time.monotonic() < deadline, "pgbouncer does not listen"
            time.sleep(0.01)
        else:
            return


def _through(url: str, port: int) -> str:
    place = urlsplit(url)
    netloc = f"{place.username}:{place.password}@127.0.0.1:{port}"
    return place._replace(netloc=netloc).geturl()
