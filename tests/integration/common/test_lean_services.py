"""What services hold while they serve: nothing that only other commands, or others, need."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING

import pytest

from support.processes import ServiceProcess, free_port, running

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.postgres

UNUSED = {
    "rich.console",
    "alembic",
    "mako",
    "sqlalchemy.orm",
    "sqlalchemy.ext.asyncio.session",
    "aiohttp",  # by tocsin-notify with its first request, by tocsin-alert never
    "aiosmtplib",
    "apprise",
    "cryptography",
    "prometheus_client",
}

# https://docs.python.org/3/using/cmdline.html#cmdoption-X
_LOADED = re.compile(r"^import time: +\d+ \| +\d+ \| +(\S+)$", re.MULTILINE)


def service(name: str, port: int, folder: Path, **settings: str) -> ServiceProcess:
    prefix = f"TOCSIN_{name.upper()}_"
    environment = {
        "PYTHONPROFILEIMPORTTIME": "1",
        f"{prefix}LISTEN": f"127.0.0.1:{port}",
        f"{prefix}INSECURE_DEV": "true",
        **{f"{prefix}{setting}": value for setting, value in settings.items()},
    }
    return ServiceProcess(f"tocsin.{name}", environment, port, folder / name)


async def test_services_on_a_ready_database_load_nothing_that_they_do_not_use(
    alert_url: str, notify_url: str, tmp_path: Path
) -> None:
    port = free_port()
    alert = service("alert", port, tmp_path, DATABASE_URL=alert_url)
    notify = service(
        "notify",
        free_port(),
        tmp_path,
        DATABASE_URL=notify_url,
        ALERT_TARGET=f"127.0.0.1:{port}",
        SECRET_KEY=base64.b64encode(bytes(32)).decode(),
    )
    async with running(alert, notify):
        pass

    for name in ("alert", "notify"):
        loaded = set(_LOADED.findall((tmp_path / name).read_text()))
        assert {f"tocsin.{name}.app", "sqlalchemy.ext.asyncio.engine"} < loaded
        assert set() == UNUSED & loaded, name
