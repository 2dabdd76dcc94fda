from __future__ import annotations

import asyncio

import pytest

from tocsin.common.rpc.health import Readiness
from tocsin.common.rpc.probes import Probes


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
