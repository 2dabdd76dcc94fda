"""A real Alertmanager for tests, where one is installed."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import urllib.error
import urllib.request
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

_PROGRAMS = ("prometheus-alertmanager", "alertmanager")
_CONFIG = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"


def program() -> str | None:
    """Return where it is installed, None when it is not."""
    return next(filter(None, map(shutil.which, _PROGRAMS)), None)


@dataclass(frozen=True)
class Alertmanager:
    url: str

    async def alerts(self) -> list[dict[str, Any]]:
        """Return what it takes for active."""
        found: list[dict[str, Any]] = await asyncio.to_thread(self._get, "/api/v2/alerts")
        return found

    async def is_ready(self) -> bool:
        try:
            await asyncio.to_thread(self._get, "/api/v2/status")
        except (OSError, urllib.error.URLError):
            return False
        return True

    def _get(self, path: str) -> Any:
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return json.loads(answer.read())


@asynccontextmanager
async def running_alertmanager(folder: Path, port: int) -> AsyncIterator[Alertmanager]:
    """Run one until the end of the block. It keeps nothing but what it is told."""
    found = program()
    assert found is not None
    config = folder / "alertmanager.yml"
    config.write_text(_CONFIG)
    process = subprocess.Popen(
        [
            found,
            f"--config.file={config}",
            f"--storage.path={folder / 'storage'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    running = Alertmanager(f"http://127.0.0.1:{port}")
    try:
        await eventually(running.is_ready)
        yield running
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, 30)
