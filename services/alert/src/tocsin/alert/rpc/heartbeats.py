"""The stream of heartbeats: signs of life of many hosts, each taken or counted as refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tocsin.alert.rpc.job_reports import read_heartbeat
from tocsin.api.alert.v1 import backup_service_pb2 as pb
from tocsin.common.errors import (
    InvalidArgumentError,
    PermissionDeniedError,
    ResourceExhaustedError,
    TocsinError,
    UnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from tocsin.alert.ledger.backup_commands import Hear
    from tocsin.alert.ledger.ledger import Ledger
    from tocsin.common.clock import Clock
    from tocsin.common.rpc.caller import Peer

BEATS_AT_ONCE = 1000


@dataclass(slots=True)
class HeartbeatCount:
    """What became of the heartbeats of one stream."""

    accepted: int = 0
    refused: int = 0
    first_refusal: str = ""

    def refuse(self, why: str, count: int = 1) -> None:
        self.refused += count
        self.first_refusal = self.first_refusal or why

    def to_stub(self) -> pb.HeartbeatsResponse:
        return pb.HeartbeatsResponse(
            accepted_count=self.accepted,
            refused_count=self.refused,
            first_refusal=self.first_refusal,
        )


async def take_heartbeats(
    ledger: Ledger, clock: Clock, messages: AsyncIterator[pb.HeartbeatsRequest], peer: Peer
) -> HeartbeatCount:
    """Take the heartbeats of a stream, message by message, until it ends.

    The next message is read when the one before is written. Raises UnavailableError or
    ResourceExhaustedError when nothing of a message could be tried: what came before is kept.
    """
    count = HeartbeatCount()
    async for message in messages:
        hears = _read_message(message, clock, peer, count)
        if hears:
            _count_results(count, await ledger.submit_many(hears))
    return count


def _read_message(
    message: pb.HeartbeatsRequest, clock: Clock, peer: Peer, count: HeartbeatCount
) -> list[Hear]:
    size = len(message.heartbeats)
    if size > BEATS_AT_ONCE:
        count.refuse(f"heartbeats: has {size:,} entries; write 1 to {BEATS_AT_ONCE:,}", size)
        return []
    received = clock.now()
    hears: list[Hear] = []
    for place, beat in enumerate(message.heartbeats):
        try:
            hears.append(read_heartbeat(beat, peer, received))
        except (InvalidArgumentError, PermissionDeniedError) as error:
            count.refuse(f"heartbeats[{place}].{error.message}")
    return hears


def _count_results(count: HeartbeatCount, results: Sequence[object]) -> None:
    errors = [result for result in results if isinstance(result, TocsinError)]
    untried = [e for e in errors if isinstance(e, UnavailableError | ResourceExhaustedError)]
    if untried and len(untried) == len(results):
        raise untried[0]
    count.accepted += len(results) - len(errors)
    for error in errors:
        count.refuse(error.message)
