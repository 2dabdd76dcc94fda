from __future__ import annotations

import asyncio
from typing import NoReturn

import grpc
import pytest
from grpc_health.v1 import health_pb2

from tocsin.common.rpc.health import Readiness
from tocsin.common.rpc.probes import Probes


class Refusing:
    """A context that notes how a call is ended."""

    code: grpc.StatusCode | None = None

    def __init__(self, peer: str = "ipv4:127.0.0.1:4242") -> None:
        self._peer = peer

    def peer(self) -> str:
        return self._peer

    async def write(self, _message: object) -> None:
        """Take a message."""

    async def abort(self, code: grpc.StatusCode, _details: str) -> NoReturn:
        self.code = code
        raise ConnectionAbortedError


def readiness() -> Readiness:
    return Readiness({"alerts": ("database", "tail"), "hosts": ("database",)})


def test_nothing_is_ready_before_its_conditions_are_known() -> None:
    known = readiness()

    assert not known.ready("alerts")
    assert ["database", "tail"] == known.missing()


def test_each_service_waits_for_what_it_needs_and_the_whole_for_everything() -> None:
    known = readiness()

    known.set("database", True)

    assert (False, True, False) == (known.ready("alerts"), known.ready("hosts"), known.ready())
    known.set("tail", True)
    assert known.ready()


def test_a_condition_that_nothing_needs_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        readiness().set("moon", True)


def test_while_draining_nothing_is_ready_whatever_holds() -> None:
    known = readiness()
    known.drain()

    known.set("database", True)

    assert not known.ready("hosts")


@pytest.mark.parametrize("method", ["Check", "Watch"])
async def test_a_name_that_no_service_has_is_not_kept_in_memory(method: str) -> None:
    request = health_pb2.HealthCheckRequest(service="x" * 257)
    context = Refusing()

    with pytest.raises(ConnectionAbortedError):
        await asyncio.wait_for(getattr(readiness(), method)(request, context), 15)

    assert grpc.StatusCode.INVALID_ARGUMENT == context.code


async def test_probes_keep_the_conditions_true() -> None:
    known = readiness()
    asked = asyncio.Event()

    async def database() -> bool:
        return True

    def tail() -> bool:
        asked.set()
        return False

    probes = Probes(known, {"database": database, "tail": tail})
    await probes.start()
    await asked.wait()
    await probes.stop()

    assert (True, ["tail"]) == (known.ready("hosts"), known.missing())


async def test_so_many_watch_health_at_most_and_who_leaves_makes_room() -> None:
    known = Readiness({"alerts": ("database",)}, most_watchers=1)
    request, refused = health_pb2.HealthCheckRequest(), Refusing()
    first = asyncio.ensure_future(known.Watch(request, Refusing()))
    await asyncio.sleep(0)

    with pytest.raises(ConnectionAbortedError):
        await asyncio.wait_for(known.Watch(request, refused), 15)
    first.cancel()
    await asyncio.wait({first})
    second = asyncio.ensure_future(known.Watch(request, Refusing()))
    done, _ = await asyncio.wait({second}, timeout=0.01)

    assert grpc.StatusCode.RESOURCE_EXHAUSTED is refused.code
    assert not done
    second.cancel()


async def test_one_address_holds_so_many_streams_of_health_and_others_find_room() -> None:
    known = Readiness({"alerts": ("database",)}, most_watchers_of_one=1)
    request = health_pb2.HealthCheckRequest()
    first, again = (Refusing(f"ipv4:192.0.2.7:{port}") for port in (1, 2))
    others = [Refusing(peer) for peer in ("ipv4:192.0.2.8:1", "unix:", "unix:")]
    held = [asyncio.ensure_future(known.Watch(request, each)) for each in (first, *others)]
    await asyncio.sleep(0)

    with pytest.raises(ConnectionAbortedError):
        await asyncio.wait_for(known.Watch(request, again), 15)
    held[0].cancel()
    await asyncio.wait(held[:1])
    held[0] = asyncio.ensure_future(known.Watch(request, Refusing(first.peer())))
    done, waiting = await asyncio.wait(held, timeout=0.01)

    assert grpc.StatusCode.RESOURCE_EXHAUSTED is again.code
    assert not done
    for each in waiting:
        each.cancel()
