"""Clients of both kinds, blocking and asyncio, called in one way and checked by one table."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tocsin.client import (
    AlertClient,
    BackupClient,
    NotifyClient,
    RetryPolicy,
    SyncAlertClient,
    SyncBackupClient,
    SyncNotifyClient,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.protobuf.message import Message

QUICK = RetryPolicy(
    total=timedelta(seconds=5),
    attempt=timedelta(seconds=2),
    first_wait=timedelta(milliseconds=1),
    longest_wait=timedelta(milliseconds=2),
)

CLIENTS: dict[str, dict[str, Any]] = {
    "sync": {"alert": SyncAlertClient, "backup": SyncBackupClient, "notify": SyncNotifyClient},
    "asyncio": {"alert": AlertClient, "backup": BackupClient, "notify": NotifyClient},
}


class Caller:
    """Makes a call with a client of either kind and returns what it gave, iterators as lists."""

    def __init__(self, kind: str, target: str) -> None:
        self._classes = CLIENTS[kind]
        self._target = target

    async def __call__(
        self, service: str, call: Callable[[Any], Any], retry: RetryPolicy = QUICK
    ) -> Any:
        client = self._classes[service](self._target, retry=retry)
        if hasattr(client, "__aenter__"):
            async with client:
                return await _outcome(call(client))
        with client:
            return await _outcome(call(client))


async def _outcome(given: Any) -> Any:
    if inspect.isawaitable(given):
        return await given
    if hasattr(given, "__aiter__"):
        return [each async for each in given]
    return list(given) if hasattr(given, "__next__") else given


@dataclass
class Case:
    """A call, the method that it becomes, what is sent, what is answered, what is returned."""

    client: str
    call: Callable[[Any], Any]
    method: str
    sent: Message
    answer: Message
    returned: Any = None

    @property
    def expected(self) -> Any:
        return self.answer if self.returned is None else self.returned
