"""The ground that a stack stands on: its folder, its key, its ports, its tether."""

from __future__ import annotations

import base64
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from tocsin.cli.exits import CommandError, ExitCode
from tocsin.cli.stack.child import Child
from tocsin.cli.stack.ground import DataFolder
from tocsin.cli.stack.ports import free_port, require_free

if TYPE_CHECKING:
    from pathlib import Path


def test_a_second_stack_on_one_folder_is_told_who_has_it(tmp_path: Path) -> None:
    first, second = DataFolder(tmp_path), DataFolder(tmp_path)
    first.take(f"pid {os.getpid()}, alert on 127.0.0.1:7070")
    with pytest.raises(CommandError) as refused:
        second.take("pid 43")
    assert ExitCode.NOT_STARTED == refused.value.code
    assert f"pid {os.getpid()}, alert on 127.0.0.1:7070" in refused.value.message
    assert "--data" in refused.value.message
    first.release()
    second.take("pid 43")
    second.release()


def test_the_parts_of_a_stack_that_was_killed_are_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed, next_one = DataFolder(tmp_path / "data"), DataFolder(tmp_path / "data")
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    killed.take(f"pid {gone.pid}")
    (tmp_path / "part.py").write_text(_CHILD)
    part = Child(
        "part",
        "part",
        [],
        environment={"PYTHONPATH": str(tmp_path)},
        log=tmp_path / "log",
        output=subprocess.PIPE,
        keeps=killed.lock,
    )
    assert part.output.readline() == b"begun\n"
    killed.release()  # what the kernel does for the one that was killed
    clock = SimpleNamespace(monotonic=time.monotonic, sleep=lambda _: part.stop())
    monkeypatch.setattr("tocsin.cli.stack.ground.time", clock)
    next_one.take("pid 43")
    assert 0 == part.exit_code()
    next_one.release()


def test_a_folder_that_cannot_be_made_is_a_plain_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CommandError, match=r"cannot be used.*--data"):
        DataFolder(tmp_path / "file").take("pid 1")


def test_the_secret_key_is_made_once_and_is_the_owners_alone(tmp_path: Path) -> None:
    path = DataFolder(tmp_path).secret_key_file()
    key = path.read_text()
    assert len(base64.b64decode(key)) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert key == DataFolder(tmp_path).secret_key_file().read_text()


def test_a_key_half_written_by_a_crash_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "notify-secret-key.new").write_text("half")
    assert len(base64.b64decode(DataFolder(tmp_path).secret_key_file().read_text())) == 32


def test_a_taken_port_is_named_with_the_option_that_changes_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CommandError) as refused:
            require_free(port, service="tocsin-alert", option="--alert-port")
    assert f"127.0.0.1:{port}" in refused.value.message
    assert "--alert-port" in refused.value.message


def test_a_free_port_is_free() -> None:
    require_free(free_port(), service="tocsin-alert", option="--alert-port")


def test_a_child_ends_when_its_parent_is_killed() -> None:
    parent = subprocess.Popen([sys.executable, "-c", _PARENT], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    with parent.stdout as told:
        assert told.readline() == b"begun\n"
        parent.kill()
        parent.wait()
        # The child holds the other end of this pipe: it reads to the end once the child is gone.
        assert told.read() == b"stopped\n"


def test_a_child_that_does_not_stop_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tocsin.cli.stack.child._STOP_SECONDS", 0.2)
    (tmp_path / "stubborn.py").write_text(_STUBBORN)
    child = Child(
        "stubborn",
        "stubborn",
        [],
        environment={"PYTHONPATH": str(tmp_path)},
        log=tmp_path / "log",
        output=subprocess.PIPE,
    )
    assert child.output.readline() == b"begun\n"
    child.stop()
    assert -signal.SIGKILL == child.exit_code()


def test_the_last_words_are_those_of_this_run(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("of a former run\n")
    (tmp_path / "failing.py").write_text("import sys\nsys.exit('no such thing')\n")
    child = Child("f", "failing", [], environment={"PYTHONPATH": str(tmp_path)}, log=log)
    child._process.wait()
    assert child.last_words() == "no such thing"
    child.stop()
    assert child.exit_code() == 1


_CHILD = """
import signal, sys, threading
stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
print("begun", flush=True)
stop.wait()
print("stopped", flush=True)
"""
_PARENT = f"""
import os, pathlib, subprocess, sys, tempfile
folder = tempfile.mkdtemp()
pathlib.Path(folder, "child.py").write_text({_CHILD!r})
subprocess.Popen(
    [sys.executable, "-m", "tocsin.cli.stack.tether", "child"],
    stdin=subprocess.PIPE, env={{**os.environ, "PYTHONPATH": folder}},
).wait()
"""
_STUBBORN = """
import signal, threading
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("begun", flush=True)
threading.Event().wait()
"""
