"""How a service runs: on which event loop, and without what it never uses."""

from __future__ import annotations

import asyncio
import ctypes
import subprocess
import sys
from types import SimpleNamespace

import pytest
import uvloop

from tocsin.common.commandline import run

UNUSED = {"rich", "alembic", "mako", "sqlalchemy.orm", "aiohttp", "cryptography", "apprise"}


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


def test_what_is_kept_out_can_still_be_had_by_its_own_name() -> None:
    program = (
        "import tocsin.common.lean, sqlalchemy.ext.asyncio\n"
        "from sqlalchemy.ext.asyncio.session import AsyncSession\n"
        "import rich.console\n"
        "print(AsyncSession.__name__, sqlalchemy.ext.asyncio.create_async_engine.__name__)"
    )
    told = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)

    assert b"AsyncSession create_async_engine" == told.stdout.strip()


def test_the_threads_of_a_service_share_their_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []
    library = SimpleNamespace(mallopt=lambda *which: asked.append(which))
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: library)
    monkeypatch.delenv("MALLOC_ARENA_MAX", raising=False)
    loop_of_a_service()
    assert [(-8, 2)] == asked

    monkeypatch.setenv("MALLOC_ARENA_MAX", "4")
    loop_of_a_service()
    assert [(-8, 2)] == asked


def test_a_service_runs_where_the_memory_is_of_another_library(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: SimpleNamespace())

    assert uvloop.Loop is loop_of_a_service()


@pytest.mark.parametrize("service", ["tocsin.alert", "tocsin.notify"])
def test_a_service_loads_nothing_that_it_does_not_use(service: str) -> None:
    program = f"import {service}.cli, {service}.app, sys; print(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)

    assert set() == UNUSED & set(told.stdout.decode().split())
