"""Two lanes and a queue, whatever is put when: nothing is lost, doubled or overtaken."""

from __future__ import annotations

import asyncio
from random import Random
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

import pytest

from support.ledgers import raising
from support.observed import failure
from tocsin.alert.domain.key import Key
from tocsin.alert.ledger import command_queue, lanes
from tocsin.alert.ledger.apart import hosts_of
from tocsin.alert.ledger.call import Call, Entry
from tocsin.alert.ledger.command_queue import CommandQueue
from tocsin.alert.ledger.commands import Lapse
from tocsin.alert.ledger.gathering import Gathering
from tocsin.alert.ledger.lanes import Lanes
from tocsin.alert.ledger.observing import Nobody
from tocsin.common.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tocsin.alert.ledger.commands import Command
    from tocsin.alert.ledger.writer import Writer

GONE = UnavailableError("broken off")
HOSTS = "abcdefghijklmnopqrst"


class Scene:
    """Writers that take their time, and what they wrote, in the order in which they ended."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.written: list[Command] = []
        self.writers = [SlowWriter(self), SlowWriter(self)]

    async def wait(self, turns: Sequence[int]) -> None:
        for _ in range(self.random.choice(turns)):
            await asyncio.sleep(0)


class SlowWriter:
    """Stands in for a Writer; `entries` are those at work."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self.entries: Sequence[Entry] = ()

    @property
    def has_connection(self) -> bool:
        return self._scene.random.random() < 0.9

    async def prepare(self) -> bool:
        await self._scene.wait([0, 0, 2])
        return self._scene.random.random() < 0.9

    async def rest(self) -> None:
        assert not self.entries
        await asyncio.sleep(0)

    async def write(self, entries: Sequence[Entry]) -> None:
        assert not self.entries
        self.entries = entries
        of_one, of_other = (hosts_of(writer.entries) for writer in self._scene.writers)
        if all(writer.entries for writer in self._scene.writers):
            assert of_one is not None
            assert of_other is not None
            assert not of_one & of_other
        try:
            await self._scene.wait([0, 1, 3, 20])
        except asyncio.CancelledError:
            for entry in entries:
                entry.settle(GONE)
            raise
        finally:
            self.entries = ()
        for entry in entries:
            self._scene.written.append(entry.command)
            entry.settle(GONE)


class Callers:
    """Puts commands into a queue; `taken_on` are those for which there was room."""

    def __init__(self, queue: CommandQueue, random: Random) -> None:
        self._queue = queue
        self._random = random
        self._hosts = HOSTS[: random.choice([1, 3, 8, 20])]
        self._others = random.choice([0, 0.02, 0.2])
        self.calls: list[Call] = []
        self.taken_on: list[Command] = []

    def call(self) -> None:
        size = self._random.choice([1, 1, 2, 10, 40])
        call, host_id = Call(size), self._random.choice(self._hosts)
        same = self._random.random() < 0.5
        commands = [self._command(host_id if same else "") for _ in range(size)]
        entries = [Entry(call, place, command) for place, command in enumerate(commands)]
        left = {entry.place for entry in self._queue.put(entries)}
        for place in left:
            entries[place].settle(GONE)
        self.calls.append(call)
        self.taken_on += [entry.command for entry in entries if entry.place not in left]

    def _command(self, host_id: str) -> Command:
        number = self._random.getrandbits(64)
        if self._random.random() < self._others:
            return Lapse(UUID(int=number))
        key = Key(host_id or self._random.choice(self._hosts), "backup_failed", str(number))
        return raising(failure(0, key=key))


async def play(seed: int) -> tuple[list[Command], list[Command], bool]:
    """Return what was taken on, what was written, and whether it was broken off."""
    random = Random(seed)
    scene = Scene(random)
    queue = CommandQueue(
        Gathering(),
        max_batch=random.choice([3, 7, 12, 50]),
        max_length=random.choice([30, 200]),
    )
    callers = Callers(queue, random)
    writers = cast("tuple[Writer, Writer]", tuple(scene.writers))
    at_work = asyncio.create_task(Lanes(queue, writers, Nobody(), perf_counter).run())
    for _ in range(random.randrange(60)):
        callers.call()
        await scene.wait([0, 0, 1, 5, 30])
    queue.close()
    is_broken_off = random.random() < 0.3
    if is_broken_off:
        await scene.wait(range(10))
        at_work.cancel()
    await asyncio.wait({at_work})
    assert all(call.is_over for call in callers.calls)
    return callers.taken_on, scene.written, is_broken_off


@pytest.mark.parametrize("plenty", [3, 5, 12])
@pytest.mark.parametrize("seeds", [range(40), range(40, 80)], ids=str)
async def test_two_lanes_write_each_command_once_and_those_of_a_host_in_their_order(
    plenty: int, seeds: range, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings: dict[Any, str] = {command_queue: "PLENTY", lanes: "PLENTY"}
    for module, name in settings.items():
        monkeypatch.setattr(module, name, plenty)
    for seed in seeds:
        taken_on, written, is_broken_off = await play(seed)

        order = {id(command): place for place, command in enumerate(taken_on)}
        places = [order[id(command)] for command in written]
        assert len(set(places)) == len(places)
        assert is_broken_off or len(taken_on) == len(places)
        for host_id in HOSTS:
            of_host = [order[id(each)] for each in written if host_of(each) == host_id]
            assert sorted(of_host) == of_host
        for place, command in enumerate(written):
            if host_of(command) is None:  # nothing overtakes it, and it overtakes nothing
                assert max(places[:place], default=-1) < places[place]
                assert places[place] < min(places[place + 1 :], default=len(order))


def host_of(command: Command) -> str | None:
    return None if isinstance(command, Lapse) else cast("Any", command).key.host_id
