"""Workers that are killed by SIGKILL between sending and settling, one after the other.

Run as a program, this is a process that has loaded all it needs and forks a worker for each line
that it reads: a life costs milliseconds then. It has no threads, so forking is safe.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from support.notifications import LOOPBACK
from support.repository import ROOT
from tocsin.common.clock import SystemClock
from tocsin.common.postgres.engine import Database
from tocsin.notify.channels.registry import Senders
from tocsin.notify.delivery.queue import DeliveryQueue
from tocsin.notify.delivery.retry import RetrySchedule
from tocsin.notify.delivery.sending import ChannelSending
from tocsin.notify.store.channels import ChannelStore
from tocsin.notify.store.sealing import Sealing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tocsin.notify.delivery.queue import Claim

KEY = b"k" * 32
AT_ONCE = 4
"""How many deliveries a worker has under way when it is killed, at most."""

_LEASE = timedelta(seconds=1)
_PATIENT = RetrySchedule((timedelta(),) * 1_000)
_PATIENCE = 5.0


class DoomedWorkers:
    """The process that the workers come from."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def live_and_die(self) -> bool:
        """Let one work until it is killed; return whether it was, and did not find nothing to do.

        It claims, sends, settles the first, and is killed when the second has been sent.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"go\n")
        await self._process.stdin.drain()
        answer = (await self._process.stdout.readline()).decode().strip()
        assert answer in {"killed", "idle"}, answer
        return answer == "killed"


@asynccontextmanager
async def doomed_workers(url: str, channel_id: UUID) -> AsyncIterator[DoomedWorkers]:
    """Run that process for one channel of a database of tocsin-notify."""
    path = os.pathsep.join([str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")])
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "support.doomed_workers",
        url,
        str(channel_id),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path},
    )
    try:
        yield DoomedWorkers(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


async def _work(url: str, channel_id: UUID) -> None:
    clock = SystemClock()
    database = Database(url, application_name="doomed")
    channels = ChannelStore(database, Sealing(KEY), clock)
    queue = DeliveryQueue(database, clock=clock, lease=_LEASE, schedule=_PATIENT, roll=lambda: 0.5)
    sending = ChannelSending(
        channel_id, channels=channels, senders=Senders(LOOPBACK, clock=clock), limit=_LEASE
    )
    claims = await _claim(queue, channel_id)
    await asyncio.gather(
        *(_deliver(queue, sending, claim, place) for place, claim in enumerate(claims))
    )


async def _claim(queue: DeliveryQueue, channel_id: UUID) -> list[Claim]:
    async with asyncio.timeout(_PATIENCE):
        while True:
            await queue.reclaim_lost()
            if claims := await queue.claim(channel_id, AT_ONCE):
                return claims
            await asyncio.sleep(0.02)


async def _deliver(queue: DeliveryQueue, sending: ChannelSending, claim: Claim, place: int) -> None:
    receipt = await sending.attempt(claim)
    if place == 0:
        await queue.settle(claim, receipt)
    else:
        os.kill(os.getpid(), signal.SIGKILL)


def _fork(url: str, channel_id: UUID) -> str:
    child = os.fork()
    if child == 0:
        try:
            asyncio.run(_work(url, channel_id))
        except TimeoutError:
            os._exit(0)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return "killed" if os.WIFSIGNALED(status) else "idle"


def main() -> None:
    url, channel_id = sys.argv[1], UUID(sys.argv[2])
    for _ in sys.stdin:
        print(_fork(url, channel_id), flush=True)  # noqa: T201 - the answer


if __name__ == "__main__":
    main()
