"""Alerta, from PyPI, with a database on the same PostgreSQL and two processes."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from http.client import HTTPException
from typing import TYPE_CHECKING, Any

from bench import h2load
from bench.load import LoadError
from bench.peers import http
from bench.peers.programs import running
from tocsin.cli.stack.ports import free_port

if TYPE_CHECKING:
    from pathlib import Path

    from bench.run import Bench

PACKAGES = ("alerta-server[postgres]", "gunicorn")
_WORKERS = 2
_THREADS = 8
_CLIENTS = 16
_INSTALL_SECONDS = 240
_NEW = 200
_PATH = "/alert"


async def measure_alerta(bench: Bench) -> None:
    """Install it beside the database, and measure alerts over HTTP."""
    bench.tell("Alerta: installing")
    python = await asyncio.to_thread(_install, bench.ground.folder / "alerta")
    if python is None or not h2load.is_installed():
        needed = f"it needs {' and '.join(PACKAGES)} from PyPI, and the package nghttp2-client"
        bench.report.run["without Alerta"] = needed
        return
    port = free_port()
    url = await bench.ground.new_database()
    command = [
        *(str(python), "-m", "gunicorn", "--workers", str(_WORKERS), "--log-level", "error"),
        "--preload",  # or both would make the tables at the same time, and one would fail
        # Threads: its plain workers hang up after every answer.
        *("--worker-class", "gthread", "--threads", str(_THREADS)),
        *("--bind", f"127.0.0.1:{port}", "alerta:create_app()"),
    ]
    environment = {
        **os.environ,
        "DATABASE_URL": url,
        "AUTH_REQUIRED": "False",
        "SECRET_KEY": "bench",
        "ALERTA_SVR_CONF_FILE": os.devnull,
        "HOME": str(bench.ground.folder),
    }
    log = bench.ground.folder / "alerta.log"
    async with running(command, port, log, environment) as server:
        await _until_it_answers(port)
        bench.tell("Alerta: the same alert again")
        done = await asyncio.to_thread(
            http.load,
            f"http://127.0.0.1:{port}{_PATH}",
            alert_body(0, ""),
            clients=_CLIENTS,
            seconds=bench.seconds,
        )
        bench.report.add("alerta.touch", done.rate, "/s")
        bench.report.add("alerta.touch.p99", done.p99, "ms")
        bench.tell("Alerta: new alerts")
        begin = time.perf_counter()
        each = _NEW // bench.scale
        await asyncio.gather(
            *(
                bench.clients.run(post_new, port, number * each, (number + 1) * each)
                for number in range(_WORKERS)
            )
        )
        rate = each * _WORKERS / (time.perf_counter() - begin)
        bench.report.add("alerta.raise", rate, "/s")
        bench.report.add("alerta.memory", server.resident_mebibytes, "MiB")


def post_new(port: int, begin: int, end: int) -> None:
    """Post new alerts, one after the other. For a process of its own."""
    http.post_all(port, _PATH, (alert_body(number, "new") for number in range(begin, end)))


def alert_body(number: int, name: str) -> dict[str, Any]:
    """Return an alert as its API takes it."""
    return {
        "resource": f"web-{name}{number:07}",
        "event": "backup_failed",
        "environment": "Production",
        "severity": "major",
        "service": ["backup"],
        "text": "unable to open repository",
    }


def _install(folder: Path) -> Path | None:
    """Make a virtual environment with it. None when that is not to be had."""
    python = folder / "bin" / "python"
    steps = (
        [sys.executable, "-m", "venv", str(folder)],
        [str(python), "-m", "pip", "install", "--quiet", *PACKAGES],
    )
    for step in steps:
        try:
            done = subprocess.run(step, capture_output=True, check=False, timeout=_INSTALL_SECONDS)
        except subprocess.TimeoutExpired:
            return None
        if done.returncode:
            print(done.stderr.decode(errors="replace")[-500:], file=sys.stderr)
            return None
    return python


async def _until_it_answers(port: int) -> None:
    """Wait for its first answer: it listens before it has made its tables."""
    end = time.monotonic() + 60
    while True:
        try:
            await asyncio.to_thread(http.post_all, port, _PATH, [alert_body(0, "")])
        except (LoadError, OSError, HTTPException):
            if time.monotonic() > end:
                raise
            await asyncio.sleep(0.5)
        else:
            return
