from __future__ import annotations

import asyncio
import os
import signal
import socket
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tocsin.common.lifecycle import run_until_signal
from tocsin.common.rpc.health import Readiness
from tocsin.common.rpc.probes import Probes
from tocsin.common.service_manager import ServiceManager

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PID = 4711
TEN_SECONDS = {"WATCHDOG_USEC": "10000000", "WATCHDOG_PID": str(PID)}


class Heard:
    """The other end of NOTIFY_SOCKET, as systemd holds it."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address)
        self._socket.settimeout(15)

    def next(self) -> str:
        return self._socket.recv(4096).decode()

    def is_silent(self) -> bool:
        self._socket.setblocking(False)
        try:
            self._socket.recv(4096)
        except BlockingIOError:
            return True
        return False

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def address(tmp_path: Path) -> str:
    return str(tmp_path / "notify")


@pytest.fixture
def systemd(address: str) -> Iterator[Heard]:
    heard = Heard(address)
    yield heard
    heard.close()


class Service:
    """Stops itself as soon as it runs."""

    async def start(self) -> None:
        asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGTERM)

    async def stop(self) -> None: ...


async def test_systemd_hears_of_the_start_and_of_the_end(systemd: Heard, address: str) -> None:
    await run_until_signal(Service(), manager=ServiceManager({"NOTIFY_SOCKET": address}))

    assert ["READY=1", "STOPPING=1"] == [systemd.next(), systemd.next()]


async def test_a_start_that_fails_is_never_called_ready(systemd: Heard, address: str) -> None:
    class Failing(Service):
        async def start(self) -> None:
            raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        await run_until_signal(Failing(), manager=ServiceManager({"NOTIFY_SOCKET": address}))

    assert "STOPPING=1" == systemd.next()


def test_the_watchdog_is_told_four_times_in_its_period_and_no_more(
    systemd: Heard, address: str
) -> None:
    now = [100.0]
    manager = ServiceManager(
        {"NOTIFY_SOCKET": address, **TEN_SECONDS}, pid=PID, monotonic=lambda: now[0]
    )
    assert timedelta(seconds=10) == manager.watchdog
    manager.alive()
    assert "WATCHDOG=1" == systemd.next()

    now[0] += 2.4
    manager.alive()
    assert systemd.is_silent()
    now[0] += 0.2
    manager.alive()
    assert not systemd.is_silent()


@pytest.mark.parametrize(
    "environment",
    [{}, {"WATCHDOG_USEC": "x"}, {"WATCHDOG_USEC": "0"}, {**TEN_SECONDS, "WATCHDOG_PID": "1"}],
)
def test_no_watchdog_is_told_that_does_not_wait_for_this_process(
    systemd: Heard, address: str, environment: dict[str, str]
) -> None:
    manager = ServiceManager({"NOTIFY_SOCKET": address, **environment}, pid=PID)
    manager.alive()

    assert manager.watchdog is None
    assert systemd.is_silent()


def test_a_name_in_the_abstract_name_space_is_understood(tmp_path: Path) -> None:
    name = f"tocsin-test-{tmp_path.name}-{os.getpid()}"
    systemd = Heard("\0" + name)
    try:
        ServiceManager({"NOTIFY_SOCKET": "@" + name}).ready()
        assert "READY=1" == systemd.next()
    finally:
        systemd.close()


def test_nobody_is_told_when_nobody_asked_or_nobody_is_there_any_more(address: str) -> None:
    ServiceManager({}).ready()
    ServiceManager({"NOTIFY_SOCKET": address}).ready()


async def test_the_watchdog_hears_of_rounds_of_probes_whatever_they_answer(
    systemd: Heard, address: str
) -> None:
    manager = ServiceManager({"NOTIFY_SOCKET": address, **TEN_SECONDS}, pid=PID)
    readiness = Readiness({"bell": ("database",)})
    probes = Probes(readiness, {"database": lambda: False}, manager=manager)
    await probes.start()
    first = await asyncio.to_thread(systemd.next)
    second = await asyncio.to_thread(systemd.next)
    await probes.stop()

    assert ["STATUS=not ready: database", "WATCHDOG=1"] == [first, second]


async def test_the_watchdog_hears_nothing_when_a_probe_hangs(systemd: Heard, address: str) -> None:
    asked = asyncio.Event()

    async def hanging() -> bool:
        asked.set()
        await asyncio.Event().wait()
        return True

    manager = ServiceManager({"NOTIFY_SOCKET": address, **TEN_SECONDS}, pid=PID)
    probes = Probes(Readiness({"bell": ("database",)}), {"database": hanging}, manager=manager)
    await probes.start()
    await asyncio.wait_for(asked.wait(), 15)
    await probes.stop()

    assert systemd.is_silent()
