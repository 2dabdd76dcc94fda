"""The checker itself: it finds the order of what could have happened, and refuses the rest."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.key_model import (
    UNNAMED,
    Answer,
    Asked,
    Did,
    KeyState,
    Status,
    Verb,
    View,
    after,
)
from support.linearizability import NEVER, Call, order_of

if TYPE_CHECKING:
    from collections.abc import Iterator

WARNING, CRITICAL = 2, 3


# A register: the plainest thing that can be wrong.


def register(state: int, operation: tuple[str, int | None]) -> Iterator[int]:
    verb, value = operation
    if verb == "write" and value is not None:
        yield value
    elif verb == "read" and value in {state, None}:
        yield state


def reg(verb: str, value: int | None, began: float, ended: float = NEVER) -> Call[Any]:
    return Call((verb, value), began, ended)


LEGAL_REGISTERS = {
    "nothing happened": [],
    "one after the other": [reg("write", 1, 0, 1), reg("read", 1, 2, 3)],
    "a read beside a write sees the old": [reg("write", 1, 0, 9), reg("read", 0, 1, 2)],
    "a read beside a write sees the new": [reg("write", 1, 0, 9), reg("read", 1, 1, 2)],
    "two reads beside a write, the old then the new": [
        reg("write", 1, 0, 9),
        reg("read", 0, 1, 2),
        reg("read", 1, 3, 4),
    ],
    "an unanswered write is seen late": [
        reg("write", 1, 0),
        reg("read", 0, 5, 6),
        reg("read", 1, 7, 8),
    ],
    "an unanswered write is never seen": [reg("write", 1, 0), reg("read", 0, 5, 6)],
    "two writes at once, in the order that the read tells": [
        reg("write", 1, 0, 5),
        reg("write", 2, 0, 5),
        reg("read", 1, 6, 7),
    ],
    "a call that ends when the other begins is beside it": [
        reg("write", 1, 0, 1),
        reg("read", 0, 1, 2),
    ],
}
ILLEGAL_REGISTERS = {
    "a read of what was never written": [reg("write", 1, 0, 1), reg("read", 2, 2, 3)],
    "a stale read": [reg("write", 1, 0, 1), reg("read", 0, 2, 3)],
    "the new, then the old": [
        reg("write", 1, 0, 9),
        reg("read", 1, 1, 2),
        reg("read", 0, 3, 4),
    ],
    "an unanswered write is seen, then undone": [
        reg("write", 1, 0),
        reg("read", 1, 5, 6),
        reg("read", 0, 7, 8),
    ],
    "an unanswered write is seen before it began": [reg("read", 1, 0, 1), reg("write", 1, 2)],
    "two readers disagree about the order of two writes": [
        reg("write", 1, 0, 1),
        reg("write", 2, 0, 1),
        reg("read", 1, 2, 3),
        reg("read", 2, 4, 5),
    ],
}


@pytest.mark.parametrize("case", LEGAL_REGISTERS)
def test_what_could_have_happened_has_an_order(case: str) -> None:
    assert order_of(LEGAL_REGISTERS[case], 0, register) is not None


@pytest.mark.parametrize("case", ILLEGAL_REGISTERS)
def test_what_could_not_have_happened_has_none(case: str) -> None:
    assert None is order_of(ILLEGAL_REGISTERS[case], 0, register)


def test_the_order_is_in_keeping_with_time_and_leaves_out_only_what_was_not_answered() -> None:
    calls = [reg("write", 1, 0), reg("write", 2, 1, 4), reg("read", 2, 5, 6), reg("read", 1, 7, 8)]

    order = order_of(calls, 0, register)

    assert [calls[1], calls[2], calls[0], calls[3]] == order


@given(st.integers(0, 10_000), st.integers(1, 4))
def test_what_was_done_one_after_the_other_is_legal_however_the_calls_overlap(
    seed: int, unanswered: int
) -> None:
    chance = random.Random(seed)
    state, calls = 0, []
    for moment in range(10):
        verb = chance.choice(("read", "write"))
        state = chance.randrange(3) if verb == "write" else state
        began, ended = moment - 3 * chance.random(), moment + 3 * chance.random()
        is_lost = chance.randrange(10) < unanswered
        value = None if is_lost and verb == "read" else state
        calls.append(reg(verb, value, began, NEVER if is_lost else ended))

    assert order_of(calls, 0, register) is not None


def test_a_long_history_of_many_unanswered_calls_is_decided() -> None:
    lost = [reg("write", number % 3, number) for number in range(12)]
    reads = [reg("read", number % 3, 20 + number, 20.5 + number) for number in range(12)]

    assert order_of([*lost, *reads], 0, register) is not None
    assert None is order_of([*lost, *reads, reg("read", 7, 90, 91)], 0, register)


# The key of an alert.


def view(
    alert_id: str = "a",
    status: Status = Status.OPEN,
    severity: int = WARNING,
    occurrences: int = 1,
    version: int = 1,
) -> View:
    return View(alert_id, status, severity, occurrences, version)


def raising(tick: int, did: Did | None = None, alert: View | None = None) -> Asked:
    answer = None if did is None else Answer(did, alert)
    return Asked(Verb.RAISE, tick, WARNING, answer=answer)


def clearing(tick: int, did: Did | None = None, alert: View | None = None) -> Asked:
    return Asked(Verb.CLEAR, tick, answer=None if did is None else Answer(did, alert))


def about(verb: Verb, alert_id: str, did: Did, alert: View | None = None) -> Asked:
    return Asked(verb, alert_id=alert_id, answer=Answer(did, alert))


def listing(alert: View | None) -> Asked:
    return Asked(Verb.LIST, answer=Answer(Did.SEEN, alert))


def in_turn(*operations: Asked) -> list[Call[Asked]]:
    """Each call after the one before; those without an answer never end."""
    return [
        Call(each, 2 * place, NEVER if each.answer is None else 2 * place + 1)
        for place, each in enumerate(operations)
    ]


def at_once(*operations: Asked) -> list[Call[Asked]]:
    return [Call(each, 0, 1) for each in operations]


RAISED = raising(10, Did.RAISED, view())
TOUCHED = raising(11, Did.TOUCHED, view(occurrences=2, version=2))
CLEARED = clearing(20, Did.RESOLVED, view("a", Status.RESOLVED, version=2))
SEEN_RESOLVED = view("a", Status.RESOLVED, version=2)

LEGAL_KEYS = {
    "raised, touched, listed": in_turn(RAISED, TOUCHED, listing(view(occurrences=2, version=2))),
    "of two raises at once one raises": at_once(TOUCHED, RAISED),
    "a late failure does not reopen": in_turn(
        RAISED, CLEARED, raising(15, Did.STALE, SEEN_RESOLVED), listing(None)
    ),
    "a late success does not close": in_turn(
        RAISED, clearing(10, Did.STALE, view()), listing(view())
    ),
    "a clear of nothing is remembered": in_turn(
        clearing(20, Did.NOTHING_OPEN), raising(19, Did.STALE)
    ),
    "the next alert is another one": in_turn(RAISED, CLEARED, raising(20, Did.RAISED, view("b"))),
    "acknowledged once": in_turn(
        RAISED,
        about(Verb.ACKNOWLEDGE, "a", Did.CHANGED, view("a", Status.ACKNOWLEDGED, version=2)),
        about(Verb.ACKNOWLEDGE, "a", Did.UNCHANGED, view("a", Status.ACKNOWLEDGED, version=2)),
    ),
    "what rises breaks an acknowledgement": in_turn(
        RAISED,
        about(Verb.ACKNOWLEDGE, "a", Did.CHANGED, view("a", Status.ACKNOWLEDGED, version=2)),
        Asked(
            Verb.RAISE,
            11,
            CRITICAL,
            answer=Answer(Did.TOUCHED, view("a", Status.OPEN, CRITICAL, 2, 4)),
        ),
    ),
    "resolved by hand, and by nobody again": in_turn(
        RAISED,
        about(Verb.RESOLVE, "a", Did.CHANGED, SEEN_RESOLVED),
        about(Verb.RESOLVE, "a", Did.UNCHANGED, SEEN_RESOLVED),
        about(Verb.ACKNOWLEDGE, "a", Did.REFUSED),
        raising(10, Did.RAISED, view("b")),
        about(Verb.GET, "a", Did.SEEN, SEEN_RESOLVED),
    ),
    "a raise whose answer was lost is told by another": in_turn(raising(9), TOUCHED),
    "a raise whose answer was lost never was": in_turn(raising(9), RAISED),
    "… or stands, and is seen first by who looks": in_turn(
        raising(9), listing(view()), about(Verb.GET, "a", Did.SEEN, view())
    ),
    "one that nobody saw was resolved, and is looked at later": in_turn(
        raising(9),
        clearing(10),
        raising(12, Did.RAISED, view("b")),
        about(Verb.GET, "a", Did.SEEN, view("a", Status.RESOLVED, WARNING, 1, 2)),
    ),
}
ILLEGAL_KEYS = {
    "two alerts stand": in_turn(RAISED, raising(11, Did.RAISED, view("b"))),
    "two alerts stand, raised at once": at_once(RAISED, raising(11, Did.RAISED, view("b"))),
    "an occurrence is lost": in_turn(RAISED, TOUCHED, TOUCHED),
    "an answered raise is lost": in_turn(RAISED, listing(None)),
    "an answered clear is lost": in_turn(RAISED, CLEARED, listing(view())),
    "a late failure reopens": in_turn(RAISED, CLEARED, raising(15, Did.RAISED, view("b"))),
    "a late success closes": in_turn(RAISED, clearing(9, Did.RESOLVED, SEEN_RESOLVED)),
    "on a tie, success wins": in_turn(RAISED, clearing(10, Did.RESOLVED, SEEN_RESOLVED)),
    "two people acknowledge": in_turn(
        RAISED,
        about(Verb.ACKNOWLEDGE, "a", Did.CHANGED, view("a", Status.ACKNOWLEDGED, version=2)),
        about(Verb.ACKNOWLEDGE, "a", Did.CHANGED, view("a", Status.ACKNOWLEDGED, version=3)),
    ),
    "two resolve, and both did": at_once(
        about(Verb.RESOLVE, "a", Did.CHANGED, SEEN_RESOLVED),
        about(Verb.RESOLVE, "a", Did.CHANGED, SEEN_RESOLVED),
        RAISED,
    ),
    "an id is given again": in_turn(RAISED, CLEARED, raising(21, Did.RAISED, view("a"))),
    "a retry counted twice": in_turn(
        RAISED, raising(11, Did.TOUCHED, view(occurrences=3, version=3))
    ),
    "what nobody raised stands": in_turn(clearing(9), listing(view())),
    "one lost raise explains two": in_turn(
        raising(9),
        listing(view("a")),
        clearing(30, Did.RESOLVED, SEEN_RESOLVED),
        listing(view("b")),
    ),
    "a resolved alert is seen open": in_turn(
        RAISED, CLEARED, about(Verb.GET, "a", Did.SEEN, view())
    ),
}


@pytest.mark.parametrize("case", LEGAL_KEYS)
def test_a_key_may_do_that(case: str) -> None:
    assert order_of(LEGAL_KEYS[case], KeyState(), after) is not None


@pytest.mark.parametrize("case", ILLEGAL_KEYS)
def test_a_key_never_does_that(case: str) -> None:
    assert None is order_of(ILLEGAL_KEYS[case], KeyState(), after)


@given(st.integers(0, 10_000))
def test_whatever_the_model_answers_one_after_the_other_is_legal_at_once(seed: int) -> None:
    calls = a_life(random.Random(seed))

    assert order_of(calls, KeyState(), after) is not None


@given(st.integers(0, 10_000))
def test_an_occurrence_too_many_is_never_legal(seed: int) -> None:
    calls = [*a_life(random.Random(seed)), Call(raising(99), 100, 101)]
    state = KeyState()
    for call in calls[:-1]:
        state = next(after(state, call.operation))
    following = next(after(state, raising(99)))
    assert following.alert is not None
    one_more = following.alert._replace(occurrences=following.alert.occurrences + 1)
    did = Did.RAISED if one_more.alert_id == UNNAMED else Did.TOUCHED
    told = one_more._replace(alert_id="z") if did is Did.RAISED else one_more
    calls[-1] = Call(raising(99, did, told), 100, 101)

    assert None is order_of(calls, KeyState(), after)


def a_life(chance: random.Random) -> list[Call[Asked]]:
    """What the model does by itself, one after the other, told as if the calls had overlapped."""
    state, calls = KeyState(), []
    ids: list[str] = []
    for moment in range(10):
        verb = chance.choice(list(Verb))
        if verb in {Verb.ACKNOWLEDGE, Verb.RESOLVE, Verb.GET} and not ids:
            verb = Verb.RAISE
        alert_id = chance.choice(ids) if ids else ""
        about_one = alert_id if verb in {Verb.ACKNOWLEDGE, Verb.RESOLVE, Verb.GET} else ""
        asked = Asked(verb, moment + chance.randrange(-2, 3), chance.choice((2, 3)), about_one)
        asked, state = answered(state, asked, f"alert-{moment}")
        if asked.answer is not None and asked.answer.did is Did.RAISED:
            ids.append(f"alert-{moment}")
        width = 3 * chance.random()
        calls.append(Call(asked, moment - width, moment + width))
    return calls


def answered(state: KeyState, asked: Asked, new_id: str) -> tuple[Asked, KeyState]:
    """Return what the model answers, found by trying what it may say."""
    shown = [None, state.alert, view(new_id, severity=asked.severity)]
    if asked.alert_id:
        shown.append(view(asked.alert_id, Status.RESOLVED))
    [unanswered] = list(after(state, asked))[:1]
    if unanswered.alert is not None:
        shown.append(unanswered.alert)
    for did in Did:
        for alert in shown:
            told = Asked(asked.verb, asked.tick, asked.severity, asked.alert_id, Answer(did, alert))
            for following in after(state, told):
                return told, following
    raise AssertionError(f"no answer to {asked} in {state}")
