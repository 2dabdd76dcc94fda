"""The decisions of one batch: commands folded, in order, into what their keys become.

Pure: everything was read before under the keys' locks, and everything is written after. Several
commands on one key see each other here, and leave one row to write.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tocsin.alert.domain.event import Event
from tocsin.alert.engine import people, transitions
from tocsin.alert.ledger.commands import (
    Acknowledge,
    Answer,
    AutoResolve,
    ChangeAnswer,
    ClearAnswer,
    Command,
    Lapse,
    RaiseAnswer,
    RaiseOrTouch,
    Resolve,
)
from tocsin.alert.ledger.remembered import Remembered
from tocsin.common.errors import NotFoundError

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from tocsin.alert.domain.alert import Alert
    from tocsin.alert.domain.key import Key
    from tocsin.alert.engine.transitions import Decision, KeyState
    from tocsin.alert.ledger.commands import RequestRef
    from tocsin.common.ids import NewId


@dataclass(frozen=True, slots=True)
class Read:
    """What a batch needs to know: read under the locks of all of its keys.

    `alerts` has the latest alert of every key and every alert that a command names, as far as
    they exist. `host_names` lacks hosts that the registry does not know or has no name for.
    """

    now: datetime
    states: dict[Key, KeyState]
    alerts: dict[UUID, Alert]
    host_names: dict[str, str]
    remembered: dict[str, Remembered]


@dataclass(slots=True)
class Fold:
    """Applies commands to what was read, and knows what is to be written.

    That is `events` in their order, and those `states`, `alerts` and `remembered` answers that
    are new or changed.
    """

    read: Read
    new_id: NewId
    events: list[Event] = field(default_factory=list)
    states: dict[Key, KeyState] = field(default_factory=dict)
    alerts: dict[UUID, Alert] = field(default_factory=dict)
    remembered: dict[str, Remembered] = field(default_factory=dict)

    def apply(self, command: Command) -> Answer:
        """Decide on one command. Raises TocsinError, and then nothing of it is to be written."""
        request = None if isinstance(command, Lapse) else command.request
        if request is None:
            return self._decide(command)
        first = self.remembered.get(request.request_id)
        if first is None:
            first = self.read.remembered.get(request.request_id)
        if first is not None:
            return first.answer_to(command, request)
        answer = self._decide(command)
        self._remember(command, request, answer)
        return answer

    def _decide(self, command: Command) -> Answer:
        match command:
            case RaiseOrTouch():
                return self._raise_or_touch(command)
            case AutoResolve():
                return self._clear(command)
            case _:
                return self._change(command)

    def _raise_or_touch(self, command: RaiseOrTouch) -> RaiseAnswer:
        key = command.failure.key
        decision = transitions.raise_or_touch(
            self._state(key), command.failure, command.caller, self._host_name(key), self.new_id
        )
        self._keep(key, decision)
        return RaiseAnswer(decision.alert, decision.outcome)

    def _clear(self, command: AutoResolve) -> ClearAnswer:
        key = command.success.key
        decision = transitions.clear(
            self._state(key), command.success, command.caller, self._host_name(key)
        )
        self._keep(key, decision)
        return ClearAnswer(decision.alert, decision.outcome)

    def _change(self, command: Acknowledge | Resolve | Lapse) -> ChangeAnswer:
        alert = self._alert(command.alert_id)
        state = self._state(alert.key)
        host_name = self._host_name(alert.key)
        now = self.read.now
        match command:
            case Acknowledge():
                act = people.Act(command.caller, now, command.note, host_name)
                decision = people.acknowledge(state, alert, act, command.expire_time)
            case Resolve():
                act = people.Act(command.caller, now, command.note, host_name)
                decision = people.resolve(state, alert, act)
            case Lapse():
                decision = people.lapse(state, alert, now, host_name)
        self._keep(alert.key, decision)
        return ChangeAnswer(decision.alert or alert, decision.outcome)

    def _state(self, key: Key) -> KeyState:
        return self.states.get(key) or self.read.states[key]

    def _alert(self, alert_id: UUID) -> Alert:
        alert = self.alerts.get(alert_id) or self.read.alerts.get(alert_id)
        if alert is None:
            raise NotFoundError(f"No alert has the id {alert_id}.", reason="ALERT_NOT_FOUND")
        return alert

    def _host_name(self, key: Key) -> str:
        return self.read.host_names.get(key.host_id) or key.host_id

    def _keep(self, key: Key, decision: Decision[object]) -> None:
        before = self._state(key)
        if decision.state is before:
            return
        self.states[key] = decision.state
        alert = decision.state.alert
        if alert is not None and alert is not before.alert:
            self.alerts[alert.alert_id] = alert
        for change in decision.changes:
            self.events.append(self._event(change))

    def _event(self, change: transitions.Change) -> Event:
        return Event(
            event_id=self.new_id(),
            type=change.type,
            alert=change.alert,
            actor=change.caller.actor,
            on_behalf_of=change.caller.on_behalf_of,
            note=change.note,
            occur_time=change.occur_time,
            record_time=self.read.now,
            traceparent=change.caller.traceparent,
        )

    def _remember(self, command: Command, request: RequestRef, answer: Answer) -> None:
        self.remembered[request.request_id] = Remembered(
            type(command).__name__, request.fingerprint, answer
        )
