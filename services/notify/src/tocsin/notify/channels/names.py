"""Looks up names, so that one whose servers are silent delays no other.

The system's resolver blocks, for half a minute and more. In the event loop's few threads a handful
of attempts on one such name would keep all other channels waiting, and the end of the process too.
Here each name has a thread of its own, which nobody waits for at the end, and all who ask for the
same name meanwhile share it: there are never more threads than names.
"""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import Future
from threading import Thread
from typing import Any

AddrInfo = tuple[Any, Any, Any, str, tuple[Any, ...]]
_Asked = tuple[str, int, int, int]


class Names:
    """The look-ups under way."""

    def __init__(self) -> None:
        self._under_way: dict[_Asked, Future[list[AddrInfo]]] = {}

    async def addresses(
        self, host: str, port: int, *, family: int = socket.AF_UNSPEC, flags: int = 0
    ) -> list[AddrInfo]:
        """Return what socket.getaddrinfo does. Raises OSError or UnicodeError, as that does."""
        asked = (host, port, family, flags)
        found = self._under_way.get(asked)
        if found is None:
            found = Future()
            found.set_running_or_notify_cancel()  # who gives up does not end it for the others
            thread = Thread(target=_look_up, args=(asked, found), name="look-up", daemon=True)
            thread.start()
            self._under_way[asked] = found
            found.add_done_callback(lambda _: self._under_way.pop(asked, None))
        return await asyncio.wrap_future(found)


def _look_up(asked: _Asked, found: Future[list[AddrInfo]]) -> None:
    host, port, family, flags = asked
    try:
        addresses = socket.getaddrinfo(
            host, port, family=family, type=socket.SOCK_STREAM, flags=flags
        )
    except Exception as error:  # noqa: BLE001 - told to whoever asked
        found.set_exception(error)
    else:
        found.set_result(addresses)
