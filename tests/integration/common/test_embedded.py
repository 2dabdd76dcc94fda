from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import asyncpg
import pytest

from support.postgres import SETTINGS, data_folder
from tocsin.common.postgres.account import reachable_programs, server_account
from tocsin.common.postgres.embedded import Binaries, Cluster, ClusterError, find_all_binaries

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.postgres

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="root only")


@pytest.fixture
def folder() -> Iterator[Path]:
    with data_folder() as path:
        yield path


async def ask(url: str, query: str = "SELECT 1") -> object:
    connection = await asyncpg.connect(url, timeout=5)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def test_a_new_cluster_speaks_utf8_and_keeps_what_was_made(own_cluster: Cluster) -> None:
    url = own_cluster.create_database("kept")

    assert "UTF8" == await ask(url, "SHOW server_encoding")

    own_cluster.stop()
    own_cluster.start()
    assert url == own_cluster.create_database("kept")
    assert 1 == await ask(url)


async def test_a_killed_server_comes_back_on_the_same_port_at_once(own_cluster: Cluster) -> None:
    for _ in range(3):
        url = own_cluster.url()
        own_cluster.kill()
        own_cluster.start()

        assert url == own_cluster.url()
        assert 1 == await ask(url)


async def test_a_server_that_died_by_itself_can_be_started_again(own_cluster: Cluster) -> None:
    pid = own_cluster.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)

    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    own_cluster.start()

    assert 1 == await ask(own_cluster.url())


async def test_nobody_gets_in_without_the_password(own_cluster: Cluster) -> None:
    right = own_cluster.url()
    with pytest.raises(asyncpg.InvalidPasswordError):
        await ask(right.replace("tocsin:", "tocsin:x"))


def test_the_password_is_for_the_owner_only(folder: Path, postgres_binaries: Binaries) -> None:
    cluster = Cluster(folder, postgres_binaries, settings=SETTINGS)
    cluster.start()
    cluster.stop()

    assert 0o600 == stat.S_IMODE((folder / "password").stat().st_mode)
    assert 0o700 == stat.S_IMODE(folder.stat().st_mode)


def test_a_second_start_on_the_same_folder_names_the_pid(
    folder: Path, postgres_binaries: Binaries
) -> None:
    first = Cluster(folder, postgres_binaries, settings=SETTINGS)
    first.start()
    try:
        with pytest.raises(ClusterError, match=rf"already runs.*server pid {first.pid}\)"):
            Cluster(folder, postgres_binaries).start()
    finally:
        first.stop()


def test_starting_what_runs_names_the_pid_and_harms_nothing(own_cluster: Cluster) -> None:
    with pytest.raises(ClusterError, match=f"already runs .pid {own_cluster.pid}"):
        own_cluster.start()


async def test_a_server_whose_starter_was_killed_is_replaced(
    folder: Path, postgres_binaries: Binaries
) -> None:
    script = textwrap.dedent(f"""
        import os, signal
        from pathlib import Path
        from tocsin.common.postgres.embedded import Cluster
        cluster = Cluster(Path({str(folder)!r}), settings={SETTINGS!r})
        cluster.start()
        print(cluster.pid, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """)
    environment = {**os.environ, "TOCSIN_POSTGRES_BIN": str(postgres_binaries.folder)}
    left = subprocess.run(
        [sys.executable, "-c", script],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
    )
    orphan = int(left.stdout)
    os.kill(orphan, 0)

    cluster = Cluster(folder, postgres_binaries, settings=SETTINGS)
    cluster.start()
    try:
        assert orphan != cluster.pid
        assert 1 == await ask(cluster.url())
    finally:
        cluster.stop()


def test_a_pid_file_that_names_another_program_is_no_obstacle(
    folder: Path, postgres_binaries: Binaries
) -> None:
    cluster = Cluster(folder, postgres_binaries, settings=SETTINGS)
    cluster.start()
    pid_file = folder / "cluster" / "postmaster.pid"
    text = pid_file.read_text()
    cluster.kill()
    # A machine that restarted gave the old number to somebody else.
    pid_file.write_text(text.replace(text.split("\n", maxsplit=1)[0], str(os.getpid()), 1))

    cluster.start()
    cluster.stop()


def test_a_port_that_is_taken_is_told(folder: Path, postgres_binaries: Binaries) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ClusterError, match=rf"(?s)port {port}: .*could not bind"):
            Cluster(folder, postgres_binaries, settings=SETTINGS, port=port).start()


def test_a_setting_that_postgres_refuses_is_told_in_its_words(
    folder: Path, postgres_binaries: Binaries
) -> None:
    with pytest.raises(ClusterError, match="no_such_setting"):
        Cluster(folder, postgres_binaries, settings={"no_such_setting": "1"}).start()


def test_an_interrupted_first_start_does_not_spoil_the_next(
    folder: Path, postgres_binaries: Binaries
) -> None:
    (folder / "cluster.new").mkdir(parents=True)
    (folder / "cluster.new" / "half").touch()
    cluster = Cluster(folder, postgres_binaries, settings=SETTINGS)
    cluster.start()
    cluster.stop()


def test_a_folder_of_another_version_is_told_and_left_alone(
    folder: Path, postgres_binaries: Binaries
) -> None:
    other = [found for found in find_all_binaries() if found.major != postgres_binaries.major]
    if not other:
        pytest.skip("this machine has one PostgreSQL version")
    cluster = Cluster(folder, postgres_binaries, settings=SETTINGS)
    cluster.start()
    cluster.stop()

    with pytest.raises(ClusterError, match=f"made by PostgreSQL {postgres_binaries.major}"):
        Cluster(folder, other[0], settings=SETTINGS).start()
    unchosen = Cluster(folder, settings=SETTINGS)
    unchosen.start()
    unchosen.stop()


@as_root
async def test_root_keeps_its_data_out_of_a_home_that_the_server_cannot_enter(
    tmp_path: Path, postgres_binaries: Binaries
) -> None:
    tmp_path.chmod(0o700)
    asked_for = tmp_path / "data"
    cluster = Cluster(asked_for, postgres_binaries, settings=SETTINGS)
    try:
        cluster.start()
        assert asked_for.is_symlink()
        assert 1 == await ask(cluster.url())
        cluster.stop()
        cluster.start()
        assert 1 == await ask(cluster.url())
    finally:
        cluster.stop()
        shutil.rmtree(asked_for.resolve())


@as_root
def test_a_folder_in_use_for_something_else_is_told_and_left_alone(
    tmp_path: Path, postgres_binaries: Binaries
) -> None:
    tmp_path.chmod(0o700)
    (tmp_path / "letters").touch()

    with pytest.raises(ClusterError, match=r"cannot be made a folder for PostgreSQL: .*not empty"):
        Cluster(tmp_path, postgres_binaries).start()
    assert ["letters"] == [path.name for path in tmp_path.iterdir()]


@as_root
def test_programs_that_the_server_account_cannot_read_are_copied_with_their_libraries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "home" / "some_postgres"
    closed = package / "install" / "bin"
    closed.mkdir(parents=True)
    (closed / "postgres").write_text("the server")
    (closed / "postgres").chmod(0o700)
    libraries = package.with_name("some_postgres.libs")
    libraries.mkdir()
    (libraries / "libpq.so").write_text("a library")
    (tmp_path / "home").chmod(0o700)
    with data_folder() as copies:
        monkeypatch.setattr("tocsin.common.postgres.account._COPIES", copies)
        account = server_account()

        found = reachable_programs(account, closed)

        assert "the server" == (found / "postgres").read_text()
        assert account.can_read(found / "postgres")
        assert account.can_read(found / "../../../some_postgres.libs/libpq.so")
        assert found == reachable_programs(account, closed)
