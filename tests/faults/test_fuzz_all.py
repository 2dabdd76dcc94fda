"""Every method that either service registers, with whatever values and bytes: never a bug."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import seed as seeded_with
from hypothesis import strategies as st

from support.alert import running_alert
from support.fuzzing import NEVER, requests_of
from support.health import ready
from support.identity import code_of_call
from support.notify import NO_ALERT_SERVICE, running_notify
from support.registered import registered_methods
from tocsin.common.rpc.channel import open_channel

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Collection

    from support.figures import Figures

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.timeout(900),
    # The service in the other thread rolls dice of its own while examples are made.
    pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies"),
]

# Their code is gRPC's own.
FOREIGN = "/grpc."
SIZES = [pytest.param(120, id="slice"), pytest.param(3_000, id="full", marks=pytest.mark.long)]


@dataclass
class Fuzz:
    """Calls one server, and counts how its calls ended."""

    channel: grpc.aio.Channel
    codes: Counter[grpc.StatusCode] = field(default_factory=Counter)

    async def call(self, method: str, raw: bytes) -> None:
        code, said = await code_of_call(self.channel, method, request=raw)
        self.codes[code] += 1
        assert code not in NEVER, (method, raw, said)

    async def examples(self, methods: Collection[str], count: int, seeded: int) -> None:
        """Hypothesis drives from a thread of its own, so that the service keeps its event loop."""
        loop = asyncio.get_running_loop()

        def call(method: str, raw: bytes) -> None:
            asyncio.run_coroutine_threadsafe(self.call(method, raw), loop).result(60)

        await asyncio.to_thread(_drive, call, sorted(methods), count, seeded)


def _drive(
    call: Callable[[str, bytes], None], methods: Collection[str], count: int, seeded: int
) -> None:
    of_any = st.sampled_from(list(methods))
    typed = of_any.flatmap(lambda method: st.tuples(st.just(method), requests_of(method)))
    often = settings(
        max_examples=count, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )

    @often
    @seeded_with(seeded)
    @given(typed)
    def values(sent: tuple[str, Any]) -> None:
        call(sent[0], sent[1].SerializeToString())

    @often
    @seeded_with(seeded)
    @given(typed, st.randoms(use_true_random=False))
    def mutated(sent: tuple[str, Any], dice: random.Random) -> None:
        call(sent[0], _mutated(sent[1].SerializeToString(), dice))

    @often
    @seeded_with(seeded)
    @given(of_any, st.binary(max_size=200))
    def garbage(method: str, raw: bytes) -> None:
        call(method, raw)

    for examples in (values, mutated, garbage):
        examples()


def _mutated(raw: bytes, dice: random.Random) -> bytes:
    """Return bytes with some changed, left out and put in."""
    mutant = bytearray(raw)
    for _ in range(dice.randint(1, 4)):
        place = dice.randint(0, len(mutant))
        match dice.randrange(3):
            case 0:
                mutant[place : place + 1] = bytes([dice.randrange(256)])
            case 1:
                del mutant[place : place + dice.randint(1, 4)]
            case _:
                mutant[place:place] = dice.randbytes(dice.randint(1, 4))
    return bytes(mutant)


def own(methods: Collection[str]) -> list[str]:
    return [method for method in methods if not method.startswith(FOREIGN)]


@pytest.mark.parametrize("count", SIZES)
async def test_nothing_that_is_sent_to_the_alert_service_is_a_bug(
    alert_url: str, seed: int, figures: Figures, *, count: int
) -> None:
    with registered_methods() as registered:
        async with running_alert(alert_url) as alert:
            fuzz = Fuzz(alert.channel)
            await fuzz.examples(own(registered), count, seed)
            await ready(alert.channel)
    record(figures, seed, "alert", fuzz, own(registered))


@pytest.mark.parametrize("count", SIZES)
async def test_nothing_that_is_sent_to_the_notify_service_is_a_bug(
    notify_url: str, seed: int, figures: Figures, *, count: int
) -> None:
    with registered_methods() as registered:
        async with (
            running_notify(notify_url, NO_ALERT_SERVICE) as notify,
            open_channel(f"127.0.0.1:{notify.port}") as channel,
        ):
            fuzz = Fuzz(channel)
            await fuzz.examples(own(registered), count, seed)
            # It follows nobody here, and so is never ready as a whole; but it lives.
            await fuzz.call("/grpc.health.v1.Health/Check", b"")
    record(figures, seed, "notify", fuzz, own(registered))


def record(
    figures: Figures, seeded: int, service: str, fuzz: Fuzz, methods: Collection[str]
) -> None:
    assert fuzz.codes[grpc.StatusCode.OK], "nothing that was sent was right"
    figures.record(
        fault="fuzz",
        seed=seeded,
        service=service,
        methods=len(methods),
        calls=fuzz.codes.total(),
        answered=fuzz.codes[grpc.StatusCode.OK],
        bugs=0,
    )
