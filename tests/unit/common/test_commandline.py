"""How a service runs: on which event loop, and without what it never uses."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest
import uvloop

from tocsin.common.commandline import run

UNUSED = {
    "tocsin.alert": {"rich", "alembic", "mako", "aiohttp", "cryptography", "apprise"},
    "tocsin.notify": {"rich", "alembic", "mako", "cryptography", "apprise", "aiohttp.web"},
}


def loop_of_a_service() -> type[asyncio.AbstractEventLoop]:
    loops: list[type[asyncio.AbstractEventLoop]] = []

    async def service() -> None:
        loops.append(type(asyncio.get_running_loop()))

    run(service())
    return loops[0]


def test_a_service_runs_on_uvloop() -> None:
    assert uvloop.Loop is loop_of_a_service()


def test_a_service_runs_on_the_loop_of_asyncio_where_there_is_no_uvloop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)

    assert issubclass(loop_of_a_service(), asyncio.BaseEventLoop)


@pytest.mark.parametrize("service", UNUSED)
def test_a_service_loads_nothing_that_it_does_not_use(service: str) -> None:
    program = f"import {service}.cli, {service}.app, sys; print(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)

    assert set() == UNUSED[service] & set(told.stdout.decode().split())
