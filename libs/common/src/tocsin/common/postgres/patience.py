"""Answers in time, also from a database that neither answers nor breaks the connection."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from tocsin.common.postgres.failures import unavailable

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")

# A caller is promised an answer within 2 s: the rest is for the way there and back.
ANSWER_WITHIN = timedelta(seconds=1.8)


async def answered_in_time(work: Coroutine[None, None, T], within: timedelta = ANSWER_WITHIN) -> T:
    """Do work on a database and return what it gives.

    Raises UnavailableError when that takes too long. The work is cancelled then, as it is when
    the caller is, but not waited for: a connection to a server that hangs cannot even be closed
    at once.
    """
    task = asyncio.ensure_future(work)
    task.add_done_callback(_ignore)
    try:
        await asyncio.wait({task}, timeout=within.total_seconds())
    finally:
        task.cancel()
    if task.done():
        return task.result()
    raise unavailable()


def _ignore(task: asyncio.Task[T]) -> None:
    """Take note of how the work ended, so that asyncio does not complain when nobody asks."""
    if not task.cancelled():
        task.exception()
