"""What `tocsin up` shows when all runs: lines to copy and paste."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tocsin.cli.stack.stack import StackSettings

_DEFAULT_PORTS = (7070, 7071)


def screen(settings: StackSettings, program: str) -> str:
    """Return the text. `program` is how the command was called, sys.argv[0]."""
    tocsin = _as_typed(program)
    alert, notify = settings.alert_target, settings.notify_target
    log = _short(settings.data.absolute() / "log")
    database = "as given" if settings.databases else _short(settings.data.absolute() / "postgres")
    return f"""\
Tocsin is up. Ctrl-C stops it; the data stays. Everybody on this machine may do everything.

  alert     {alert}   log {log}/alert.log
  notify    {notify}   log {log}/notify.log
  database  {database}

In another terminal:
{_exports(settings)}
  {tocsin} raise web-1 backup_failed -k photos -m "source is missing"
  {tocsin} list
  {tocsin} clear web-1 backup_failed -k photos
  {tocsin} channel test console
  {tocsin} --help

  grpcurl -plaintext {alert} list
  grpcurl -plaintext -d '{{"host_id": "web-1", "kind": "check_failed"}}' \\
    {alert} tocsin.api.alert.v1.AlertService/RaiseOrTouch
  grpcurl -plaintext {notify} tocsin.api.notify.v1.DeliveryService/ListDeliveries

What the console channel is told appears below.
"""


def _exports(settings: StackSettings) -> str:
    if (settings.alert_port, settings.notify_port) == _DEFAULT_PORTS:
        return ""
    return (
        f"  export TOCSIN_ALERT_TARGET={settings.alert_target} "
        f"TOCSIN_NOTIFY_TARGET={settings.notify_target}\n"
    )


def _as_typed(program: str) -> str:
    """Return how to call the command again from the same folder."""
    path = Path(program).absolute()
    found = shutil.which("tocsin")
    if found and Path(found).samefile(path):
        return "tocsin"
    return quote(_short(path))


def _short(path: Path) -> str:
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative
