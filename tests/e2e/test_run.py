"""`make run`: the stack as a process, what it prints, and that nothing outlives it."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.command import Command
from support.descendants import all_gone, descendants_of
from tocsin.cli.stack.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.slow]

NOT_STARTED = 5
_LAST_LINE = "What the console channel is told appears below."


@dataclass
class Running:
    """A `tocsin up` that has told that it is up."""

    process: subprocess.Popen[str]
    data: Path
    alert_port: int
    notify_port: int
    screen: str = ""

    @property
    def tocsin(self) -> Command:
        return Command(f"127.0.0.1:{self.alert_port}", f"127.0.0.1:{self.notify_port}")

    def words(self) -> list[str]:
        return _words(self.data, self.alert_port, self.notify_port)


def _words(data: Path, alert_port: int, notify_port: int) -> list[str]:
    ports = ["--alert-port", str(alert_port), "--notify-port", str(notify_port)]
    return ["--data", str(data), *ports]


@contextmanager
def up(folder: Path, ports: tuple[int, int] | None = None) -> Iterator[Running]:
    alert_port, notify_port = ports or (free_port(), free_port())
    data = folder / "data"
    process = subprocess.Popen(
        [sys.executable, "-m", "tocsin.cli", "up", *_words(data, alert_port, notify_port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    running = Running(process, data, alert_port, notify_port)
    with process:
        try:
            assert process.stdout is not None
            lines = []
            for line in process.stdout:
                lines.append(line)
                if line.startswith(_LAST_LINE):
                    break
            running.screen = "".join(lines)
            assert running.screen, process.stderr.read() if process.stderr else ""
            yield running
        finally:
            process.terminate()
            process.communicate(timeout=60)


def tocsin_up(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tocsin.cli", "up", *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_stack_runs_refuses_a_second_and_stops_clean(open_folder: Path) -> None:
    with up(open_folder) as running:
        _what_the_screen_says_works(running)
        _the_console_channel_rings(running)
        _a_second_beside_it_is_refused(running, open_folder)
        _the_secret_key_is_the_owners_alone(running)
        children = descendants_of(running.process.pid)
        running.process.send_signal(signal.SIGINT)
        out, err = running.process.communicate(timeout=60)
        assert (0, "") == (running.process.returncode, err)
        assert "Stopping" in out
        assert len(children) >= 3
        assert all_gone(children)


def test_what_was_deleted_stays_deleted_and_after_a_kill_the_next_start_follows_at_once(
    open_folder: Path,
) -> None:
    with up(open_folder) as running:
        running.tocsin.done("raise", "web-1", "backup_failed")
        running.tocsin.done("channel", "delete", "console", "--yes")
        children = descendants_of(running.process.pid)
        running.process.kill()
        running.process.wait()
        assert len(children) >= 3
    with up(open_folder, (running.alert_port, running.notify_port)) as running:
        assert all_gone(children)
        assert [] == running.tocsin.json("channel", "list")["channels"]
        assert 1 == len(running.tocsin.json("list")["alerts"])


def test_a_postgresql_that_falls_is_started_again(open_folder: Path) -> None:
    with up(open_folder) as running:
        server = int((running.data / "postgres/cluster/postmaster.pid").read_text().split()[0])
        os.kill(server, signal.SIGKILL)
        assert "Raised" in running.tocsin.done("raise", "web-1", "backup_failed")
        assert 1 == len(running.tocsin.json("list")["alerts"])
    assert "PostgreSQL ended by itself" in (running.data / "log/postgres.log").read_text()


def test_a_service_that_falls_takes_the_stack_down_and_is_named(open_folder: Path) -> None:
    with up(open_folder) as running:
        children = descendants_of(running.process.pid)
        os.kill(_pid_of("tocsin.notify", children), signal.SIGKILL)
        assert running.process.stderr is not None
        told = running.process.stderr.read()
        assert NOT_STARTED == running.process.wait(60)
        assert told.startswith("tocsin-notify was killed by signal 9.")
        assert all_gone(children)


def _pid_of(module: str, pids: set[int]) -> int:
    lines = {pid: Path(f"/proc/{pid}/cmdline").read_text().split("\0") for pid in pids}
    return next(pid for pid, words in lines.items() if module in words)


def _what_the_screen_says_works(running: Running) -> None:
    assert f"127.0.0.1:{running.alert_port}" in running.screen
    lines = [line.strip() for line in running.screen.splitlines()]
    exports = next(line for line in lines if line.startswith("export "))
    commands = [line for line in lines if " raise " in line or line.endswith((" list", "--help"))]
    tocsin = [line for line in commands if not line.startswith("grpcurl")]
    assert len(tocsin) == 3
    for line in tocsin:
        typed = subprocess.run(
            ["sh", "-ec", f"{exports}\n{_runnable(line)}"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (0, "") == (typed.returncode, typed.stderr)


def _runnable(line: str) -> str:
    """Return a line as typed, whatever name the command was called by."""
    _, _, rest = line.partition(" ")
    return f"{sys.executable} -m tocsin.cli {rest}"


def _the_console_channel_rings(running: Running) -> None:
    assert running.process.stdout is not None
    line = running.process.stdout.readline()
    while not line.strip():
        line = running.process.stdout.readline()
    assert "RAISED: backup_failed on web-1 (photos)" in line


def _a_second_beside_it_is_refused(running: Running, folder: Path) -> None:
    again = tocsin_up(*running.words())
    assert (NOT_STARTED, "") == (again.returncode, again.stdout)
    assert f"pid {running.process.pid}" in again.stderr
    assert "--alert-port" in again.stderr
    elsewhere = folder / "elsewhere"
    port = str(running.alert_port)
    again = tocsin_up("--data", str(elsewhere), "--alert-port", port)
    assert (NOT_STARTED, "") == (again.returncode, again.stdout)
    assert f"127.0.0.1:{port}" in again.stderr
    assert not elsewhere.exists()
    assert 1 == len(running.tocsin.json("list")["alerts"])  # the first goes on


def _the_secret_key_is_the_owners_alone(running: Running) -> None:
    key = running.data / "notify-secret-key"
    assert 0o600 == stat.S_IMODE(key.stat().st_mode)
