"""What systemd is told of this process when it started it with Type=notify.

The protocol is that of sd_notify(3): lines in a datagram to the socket named by NOTIFY_SOCKET. Who
was started otherwise tells nobody. Nothing here fails: a service does not stop for want of somebody
to tell.
"""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_PATIENCE_SECONDS = 1.0
# Of the time after which systemd takes the process for dead.
_SHARE = 4


class ServiceManager:
    """Tells systemd how the service does.

    `environment` is that of the process. `alive` is to be called again and again as long as all
    is well; it tells the watchdog four times within its period and not more often.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        *,
        pid: int | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        self._watchdog = _watchdog(environment, os.getpid() if pid is None else pid)
        self._monotonic = monotonic
        self._next = 0.0

    @property
    def watchdog(self) -> timedelta | None:
        """After what time without a sign of life systemd ends this process; None for never."""
        return self._watchdog

    def ready(self) -> None:
        """Say that the service has started: what is ordered after it may start too."""
        self._tell("READY=1")

    def stopping(self) -> None:
        """Say that the service has begun to stop."""
        self._tell("STOPPING=1")

    def status(self, text: str) -> None:
        """Give the line that `systemctl status` shows."""
        self._tell("STATUS=" + text.replace("\n", " "))

    def alive(self) -> None:
        """Tell the watchdog that this process still turns."""
        if self._watchdog is None or self._monotonic() < self._next:
            return
        self._next = self._monotonic() + self._watchdog.total_seconds() / _SHARE
        self._tell("WATCHDOG=1")

    def _tell(self, line: str) -> None:
        if not self._address:
            return
        # A name that begins with @ stands for one in the abstract name space of Linux.
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.settimeout(_PATIENCE_SECONDS)
            sender.sendto(line.encode(), address)


@cache
def service_manager() -> ServiceManager:
    """Return the one that started this process."""
    return ServiceManager(os.environ)


def _watchdog(environment: Mapping[str, str], pid: int) -> timedelta | None:
    """Read the period, unless it is meant for another process."""
    microseconds = environment.get("WATCHDOG_USEC", "")
    if not microseconds.isdecimal() or environment.get("WATCHDOG_PID", str(pid)) != str(pid):
        return None
    return timedelta(microseconds=int(microseconds)) or None
