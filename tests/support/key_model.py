"""One key of the alert service as its contract tells it: what each call does, and answers.

Written anew from the contract, and not from the service: this is what the service is held
against. Pure. See `linearizability`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

UNNAMED = "?"
"""The id of an alert that a call has raised whose answer was lost, until somebody tells it."""


class Did(Enum):
    """What an answer says was done."""

    RAISED = "raised"
    TOUCHED = "touched"
    STALE = "stale"
    RESOLVED = "resolved"
    NOTHING_OPEN = "nothing open"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    REFUSED = "refused: it is resolved"
    SEEN = "seen"


class Status(Enum):
    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class View(NamedTuple):
    """What an answer shows of an alert."""

    alert_id: str
    status: Status
    severity: int
    occurrences: int
    version: int


class Answer(NamedTuple):
    did: Did
    alert: View | None = None


class Verb(Enum):
    RAISE = "raise"
    CLEAR = "clear"
    ACKNOWLEDGE = "acknowledge"
    RESOLVE = "resolve"
    GET = "get"
    LIST = "list"


@dataclass(frozen=True, slots=True)
class Asked:
    """A call and its answer, None when that was lost.

    `tick` is the time at which a raise or a clear was observed, `alert_id` what an
    acknowledgement, a resolution by hand or a look is about.
    """

    verb: Verb
    tick: int = 0
    severity: int = 0
    alert_id: str = ""
    answer: Answer | None = None


class KeyState(NamedTuple):
    """What a key stands at.

    `alert` is its latest alert, resolved or not. `past` are the ids of those before it, as far
    as anybody was told them; `strangers` counts the rest.
    """

    cleared: int | None = None
    alert: View | None = None
    last_seen: int = 0
    past: frozenset[str] = frozenset()
    strangers: int = 0

    @property
    def standing(self) -> View | None:
        return None if self.alert is None or self.alert.status is Status.RESOLVED else self.alert

    def cleared_at(self, tick: int) -> int:
        return tick if self.cleared is None else max(self.cleared, tick)


def after(state: KeyState, asked: Asked) -> Iterator[KeyState]:
    """Yield each state that a call may leave, given what it was answered: for `order_of`."""
    for named in _named(state, asked):
        following, answer = _DO[asked.verb](named, asked)
        if asked.answer is None or _is_the_same(answer, asked.answer, named):
            yield following


def _named(state: KeyState, asked: Asked) -> Iterator[KeyState]:
    """Yield the state with the id that a call tells given to each alert that it may be of."""
    told = asked.alert_id
    if asked.answer is not None and asked.answer.alert is not None:
        told = asked.answer.alert.alert_id
    is_new = asked.answer is not None and asked.answer.did is Did.RAISED
    is_known = told in state.past or (state.alert is not None and told == state.alert.alert_id)
    if is_new or is_known or not told:
        yield state
        return
    if state.alert is not None and state.alert.alert_id == UNNAMED:
        yield state._replace(alert=state.alert._replace(alert_id=told))
    if state.strangers:
        yield state._replace(past=state.past | {told}, strangers=state.strangers - 1)


def _is_the_same(expected: Answer, given: Answer, state: KeyState) -> bool:
    """Whether an answer is the expected one; of alerts of the past only the status is known."""
    if expected.alert is None or given.alert is None or given.alert.alert_id not in state.past:
        return expected == given
    return (expected.did, expected.alert.alert_id, expected.alert.status) == (
        given.did,
        given.alert.alert_id,
        given.alert.status,
    )


def _raise(state: KeyState, asked: Asked) -> tuple[KeyState, Answer]:
    if state.cleared is not None and asked.tick < state.cleared:
        return state, Answer(Did.STALE, state.alert)
    if state.standing is None:
        return _raised(state, asked)
    alert = state.standing
    version, status = alert.version + 1, alert.status
    if asked.severity > alert.severity and status is Status.ACKNOWLEDGED:
        version, status = version + 1, Status.OPEN
    touched = alert._replace(
        status=status,
        severity=max(alert.severity, asked.severity),
        occurrences=alert.occurrences + 1,
        version=version,
    )
    last_seen = max(state.last_seen, asked.tick)
    return state._replace(alert=touched, last_seen=last_seen), Answer(Did.TOUCHED, touched)


def _raised(state: KeyState, asked: Asked) -> tuple[KeyState, Answer]:
    is_told = asked.answer is not None and asked.answer.alert is not None
    new_id = asked.answer.alert.alert_id if is_told else UNNAMED  # type: ignore[union-attr]  # is_told
    alert = View(new_id, Status.OPEN, asked.severity, 1, 1)
    past, strangers = state.past, state.strangers
    if state.alert is not None and state.alert.alert_id == UNNAMED:
        strangers += 1
    elif state.alert is not None:
        past |= {state.alert.alert_id}
    did = Did.STALE if is_told and new_id in past else Did.RAISED  # an id is given once
    following = KeyState(state.cleared, alert, asked.tick, past, strangers)
    return following, Answer(did, alert)


def _clear(state: KeyState, asked: Asked) -> tuple[KeyState, Answer]:
    cleared = state.cleared_at(asked.tick)
    if state.standing is None:
        return state._replace(cleared=cleared), Answer(Did.NOTHING_OPEN)
    if asked.tick <= state.last_seen:
        return state, Answer(Did.STALE, state.standing)
    resolved = _resolved(state.standing)
    return state._replace(cleared=cleared, alert=resolved), Answer(Did.RESOLVED, resolved)


def _acknowledge(state: KeyState, asked: Asked) -> tuple[KeyState, Answer]:
    alert = state.standing
    if alert is None or alert.alert_id != asked.alert_id:
        return state, Answer(Did.REFUSED)
    if alert.status is Status.ACKNOWLEDGED:
        return state, Answer(Did.UNCHANGED, alert)
    taken = alert._replace(status=Status.ACKNOWLEDGED, version=alert.version + 1)
    return state._replace(alert=taken), Answer(Did.CHANGED, taken)


def _resolve(state: KeyState, asked: Asked) -> tuple[KeyState, Answer]:
    alert = state.standing
    if alert is None or alert.alert_id != asked.alert_id:
        return state, Answer(Did.UNCHANGED, _seen(state, asked.alert_id))
    resolved = _resolved(alert)
    cleared = state.cleared_at(state.last_seen)
    return state._replace(cleared=cleared, alert=resolved), Answer(Did.CHANGED, resolved)


def _get(state: KeyState, asked: Asked) -> tuple[KeyState, Answer]:
    return state, Answer(Did.SEEN, _seen(state, asked.alert_id))


def _list(state: KeyState, asked: Asked) -> tuple[KeyState, Answer]:
    return state, Answer(Did.SEEN, state.standing)


def _seen(state: KeyState, alert_id: str) -> View:
    if state.alert is not None and state.alert.alert_id == alert_id:
        return state.alert
    return View(alert_id, Status.RESOLVED, 0, 0, 0)


def _resolved(alert: View) -> View:
    return alert._replace(status=Status.RESOLVED, version=alert.version + 1)


_DO = {
    Verb.RAISE: _raise,
    Verb.CLEAR: _clear,
    Verb.ACKNOWLEDGE: _acknowledge,
    Verb.RESOLVE: _resolve,
    Verb.GET: _get,
    Verb.LIST: _list,
}
