"""Calls by the ordinary gRPC client, with messages serialised before."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

from bench.bodies import BATCH, KIND, batch_body
from bench.load import LoadError
from bench.percentiles import percentile
from tocsin.api.alert.v1.alert_pb2 import SEVERITY_CRITICAL, SEVERITY_UNSPECIFIED
from tocsin.api.alert.v1.alert_service_pb2 import (
    BatchRaiseOrTouchResponse,
    ListAlertsRequest,
    ListAlertsResponse,
)
from tocsin.api.alert.v1.alert_service_pb2_grpc import AlertServiceStub
from tocsin.common.rpc.channel import open_channel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    import grpc

    from tocsin.api.alert.v1.alert_pb2 import Severity
    from tocsin.api.alert.v1.event_pb2 import Position

    Call = Callable[[bytes], Awaitable[bytes]]

KEYS_PER_BATCH = 100
_BATCHES_IN_FLIGHT = 4
_WARM_UP_CALLS = 100
_CALL_SECONDS = 30
_WARM_UP_SECONDS = 0.5


class Batched(NamedTuple):
    """How many alerts a second went in, and how much of a core that cost the client."""

    rate: float
    cores: float


@asynccontextmanager
async def calling(target: str, method: str) -> AsyncIterator[Call]:
    """Give a function that calls a method with bytes and returns bytes."""
    async with open_channel(target) as channel:
        call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(method)

        async def send(body: bytes) -> bytes:
            return await call(body, timeout=_CALL_SECONDS)

        yield send


async def one_in_flight(target: str, method: str, body: bytes, seconds: float) -> float:
    """Return the median time of one call after the other, in milliseconds."""
    async with calling(target, method) as call:
        for _ in range(_WARM_UP_CALLS):
            await call(body)
        took = []
        end = time.perf_counter() + seconds
        while (begin := time.perf_counter()) < end:
            await call(body)
            took.append(time.perf_counter() - begin)
    return percentile(sorted(took), 0.5) * 1000


async def answer_bytes(target: str, method: str, body: bytes) -> int:
    """Return how long the answer is, as it is framed."""
    async with calling(target, method) as call:
        return len(await call(body)) + 5


async def end_of_log(target: str) -> Position:
    """Return the position of the last event that is committed."""
    async with open_channel(target) as channel:
        asked = ListAlertsRequest(page_size=1, kinds=[KIND])
        answer: ListAlertsResponse = await AlertServiceStub(channel).ListAlerts(asked, timeout=30)
        return answer.position


def batches(target: str, name: str, *, raises: bool, seconds: float) -> Batched:
    """Send full batches, four at a time, for so long. For a process of its own.

    `raises` says whether every key is a new one, or the same 1,000 again.
    """
    return asyncio.run(_batches(target, name, raises, seconds))


async def _batches(target: str, name: str, raises: bool, seconds: float) -> Batched:
    async with calling(target, BATCH) as call:
        _require_all_taken(await call(batch_body(name, range(KEYS_PER_BATCH))))
        begin = time.perf_counter() + _WARM_UP_SECONDS
        same = [batch_body(f"{name}-{turn}", range(KEYS_PER_BATCH)) for turn in range(10)]

        async def sender(number: int) -> int:
            turns = count = 0
            place = number * len(same) // _BATCHES_IN_FLIGHT  # two do not report the same at once
            while (now := time.perf_counter()) < begin + seconds:
                prefix = f"{name}-{number}-{turns}"
                body = (
                    batch_body(prefix, range(KEYS_PER_BATCH))
                    if raises
                    else same[(place + turns) % len(same)]
                )
                await call(body)
                turns += 1
                count += begin <= now
            return count

        cpu = time.process_time()
        counts = await asyncio.gather(*(sender(number) for number in range(_BATCHES_IN_FLIGHT)))
        cores = (time.process_time() - cpu) / (seconds + _WARM_UP_SECONDS)
    return Batched(sum(counts) * KEYS_PER_BATCH / seconds, cores)


def raise_many(target: str, name: str, total: int) -> None:
    """Raise so many new alerts as fast as it goes, in batches. For a process of its own."""
    asyncio.run(_raise_all(target, name, range(total), SEVERITY_UNSPECIFIED))


def make_critical(target: str, name: str, numbers: range) -> None:
    """Report alerts of `raise_many` as critical, in batches. For a process of its own."""
    asyncio.run(_raise_all(target, name, numbers, SEVERITY_CRITICAL))


async def _raise_all(target: str, name: str, numbers: range, severity: Severity.ValueType) -> None:
    firsts = iter(range(0, len(numbers), KEYS_PER_BATCH))
    async with calling(target, BATCH) as call:

        async def sender() -> None:
            for first in firsts:
                some = numbers[first : first + KEYS_PER_BATCH]
                _require_all_taken(await call(batch_body(name, some, severity)))

        await asyncio.gather(*(sender() for _ in range(_BATCHES_IN_FLIGHT)))


def _require_all_taken(answer: bytes) -> None:
    results = BatchRaiseOrTouchResponse.FromString(answer).results
    refused = [each.error.message for each in results if each.HasField("error")]
    if refused:
        raise LoadError(f"{len(refused)} of a batch were refused: {refused[0]}")
