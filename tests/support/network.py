"""A network of one's own, where every port is free and nothing leads outside. Linux only."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_KEPT = "ip link set lo up && echo up && exec sleep infinity"


def can_be_had() -> bool:
    """Whether this account may make one here: root may, unless it runs in a container."""
    if os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "nsenter", "ip"))):
        return False
    tried = subprocess.run(["unshare", "--net", "true"], check=False, capture_output=True)
    return tried.returncode == 0


@contextmanager
def own_network() -> Iterator[list[str]]:
    """Give the words to put before a command, so that it runs in that network."""
    holder = subprocess.Popen(
        ["unshare", "--net", "sh", "-c", _KEPT], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "up\n"
        yield ["nsenter", f"--net=/proc/{holder.pid}/ns/net"]
    finally:
        holder.send_signal(signal.SIGTERM)
        holder.communicate(timeout=30)
