"""What the ledger keeps in mind of keys, and when it relies on it."""

from __future__ import annotations

from uuid import UUID

from support.observed import ALPHA, ORCHESTRATOR, at, failure, success
from tocsin.alert.domain.host import Host, HostSpec
from tocsin.alert.domain.key import Key
from tocsin.alert.engine.transitions import KeyState, raise_or_touch
from tocsin.alert.ledger.alert_book import AlertBook
from tocsin.alert.ledger.chance import Chance
from tocsin.alert.ledger.key_memory import KeyMemory
from tocsin.alert.ledger.table import Table

NOTHING = KeyState(None, None)
HOST = Host(HostSpec("host-0", "Alpha", {}), at(0), at(0))


def key(number: int) -> Key:
    return Key(f"host-{number}", "backup_failed", "")


def book(*numbers: int) -> AlertBook:
    states = {key(number): NOTHING for number in numbers}
    return AlertBook(at(0), lambda: UUID(int=1), states, {}, Table({"host-0": HOST}))


def standing(number: int, message: str = "it failed") -> KeyState:
    seen = failure(0, key=key(number), message=message)
    return raise_or_touch(NOTHING, seen, ORCHESTRATOR, ALPHA, lambda: UUID(int=1)).state


def remembered(memory: KeyMemory, numbers: range) -> list[int]:
    return [number for number in numbers if memory.recall([key(number)])]


def test_what_a_batch_has_left_is_kept_and_what_it_only_read_too() -> None:
    memory, left = KeyMemory(), book(0, 1)
    left.clear(success(0, key=key(0)), ORCHESTRATOR)
    memory.keep(left)
    known = memory.recall([key(0), key(1), key(2)])

    assert {key(0): KeyState(at(0), None), key(1): NOTHING} == {
        each: known[each].state for each in known
    }
    assert [HOST, None] == [each.host for each in known.values()]


def test_the_keys_that_were_not_written_for_longest_are_forgotten_first() -> None:
    memory = KeyMemory(keys=3)
    for number in (0, 1, 2, 0, 3):
        memory.keep(book(number))

    assert [0, 2, 3] == remembered(memory, range(5))


def test_long_messages_take_the_room_of_many_keys() -> None:
    memory = KeyMemory(bytes_=100_000)
    for number in range(40):
        memory.keep(book(number))
    assert 40 == len(memory)
    long = book(40)
    long.changed_states[key(40)] = standing(40, "x" * 16_384)
    memory.keep(long)

    assert remembered(memory, range(41)) == list(range(41 - len(memory), 41))
    assert 30 <= len(memory) < 40


def test_the_labels_of_a_host_take_room_as_those_of_an_alert_do() -> None:
    labels = {f"label-{number}": "x" * 256 for number in range(32)}
    host = Host(HostSpec("host-0", "Alpha", labels), at(0), at(0))
    memory = KeyMemory(bytes_=50_000)
    for number in range(10):
        one = Key("host-0", "backup_failed", str(number))
        memory.keep(
            AlertBook(at(0), lambda: UUID(int=1), {one: NOTHING}, {}, Table({"host-0": host}))
        )

    assert 2 == len(memory)


def test_what_is_written_again_takes_its_room_once() -> None:
    memory = KeyMemory(bytes_=20_000)
    for _ in range(100):
        memory.keep(book(0, 1))

    assert [0, 1] == remembered(memory, range(2))


def test_what_was_forgotten_leaves_its_room() -> None:
    memory = KeyMemory(bytes_=4_000)
    for number in range(10):
        memory.keep(book(number))
        memory.forget([key(number), key(number + 1)])

    memory.keep(book(0, 1))
    assert [0, 1] == remembered(memory, range(10))


def test_what_fails_is_tried_ever_more_rarely_and_again_when_it_succeeds() -> None:
    chance = Chance()

    def turns_until_the_next_try() -> int:
        turns = 0
        while not chance.is_taken():
            turns += 1
        return turns

    pauses = []
    for well in (True, False, False, False, True, False, False, False, False, False):
        pauses.append(turns_until_the_next_try())
        chance.ended(well=well)
    assert [0, 0, 1, 4, 16, 0, 32, 128, 256, 256] == pauses
