"""The alerts of one batch: as they were read, and as the commands so far have left them.

Pure: everything was read before under the keys' locks, and everything is written after.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from tocsin.alert.domain.event import Event
from tocsin.alert.domain.outcome import RaiseOutcome
from tocsin.alert.engine import floods, transitions
from tocsin.alert.engine.transitions import HostFacts
from tocsin.alert.engine.wrong_clocks import believed
from tocsin.common.errors import NotFoundError

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from tocsin.alert.domain.alert import Alert
    from tocsin.alert.domain.host import Host
    from tocsin.alert.domain.key import Key
    from tocsin.alert.domain.observation import Caller, Failure, Success
    from tocsin.alert.domain.outcome import ClearOutcome
    from tocsin.alert.engine.transitions import Change, Decision, KeyState
    from tocsin.alert.ledger.table import Table
    from tocsin.common.ids import NewId

_INSTANT = timedelta(microseconds=1)


@dataclass(slots=True)
class AlertBook:
    """Makes decisions on keys, and knows what is to be written of them.

    That is `events` in their order, and those `changed_states` and `changed_alerts` that are new
    or changed. `states` are of all locked keys. `alerts` has the latest alert of every key and
    every alert that a command names, as far as they exist. `hosts` are those that were put.
    `rooms` are how many alerts those hosts may still raise that could come to `open_limit` here:
    see `engine.floods`.
    """

    now: datetime
    new_id: NewId
    states: dict[Key, KeyState]
    alerts: dict[UUID, Alert]
    hosts: Table[str, Host]
    events: list[Event] = field(default_factory=list)
    changed_states: dict[Key, KeyState] = field(default_factory=dict)
    changed_alerts: dict[UUID, Alert] = field(default_factory=dict)
    rooms: dict[str, int] = field(default_factory=dict)
    open_limit: int = 0

    def state(self, key: Key) -> KeyState:
        """Return the state of a locked key."""
        return self.changed_states.get(key) or self.states[key]

    def standing(self, key: Key) -> Alert | None:
        """Return the alert of a locked key that is not resolved, if there is one."""
        return self.state(key).standing

    def find(self, alert_id: UUID) -> Alert | None:
        return self.changed_alerts.get(alert_id) or self.alerts.get(alert_id)

    def alert(self, alert_id: UUID) -> Alert:
        """Return an alert. Raises NotFoundError (ALERT_NOT_FOUND)."""
        alert = self.find(alert_id)
        if alert is None:
            raise NotFoundError(f"No alert has the id {alert_id}.", reason="ALERT_NOT_FOUND")
        return alert

    def host_name(self, host_id: str) -> str:
        """Return the name people know a host by, else its id."""
        host = self.hosts.get(host_id)
        return host_id if host is None else host.spec.name or host_id

    def raise_or_touch(
        self, failure: Failure, caller: Caller, root: UUID | None = None
    ) -> Decision[RaiseOutcome]:
        """Decide on a failure. `root` is the alert that explains it, should it be raised.

        Of a host that is flooded it is the alert_flood that is raised or touched in its place.
        """
        if failure.key.host_id in self.rooms and self._is_beyond(failure):
            flood = self.state(floods.flood_key(failure.key.host_id))
            failure, root = floods.counted(failure, flood, self.open_limit, self.now), None
        key = failure.key
        before = self.state(key)
        state = believed(before, failure.observe_time, self.now)
        decision = transitions.raise_or_touch(
            state, failure, caller, self._facts(key.host_id), self.new_id, root
        )
        self._keep(key, before, decision)
        if decision.outcome is RaiseOutcome.RAISED and key.host_id in self.rooms:
            self.rooms[key.host_id] -= 1
        return decision

    def clear(self, success: Success, caller: Caller) -> Decision[ClearOutcome]:
        """Decide on a success."""
        key = success.key
        state = believed(self.state(key), success.observe_time, self.now)
        decision = transitions.clear(state, success, caller, self.host_name(key.host_id))
        self.keep(key, decision)
        return decision

    def clear_now(self, success: Success, caller: Caller) -> Alert | None:
        """Resolve what stands by a success on the server's clock, and return it.

        The server's clock may stand where it stood when the alert was raised, or behind.
        """
        standing = believed(self.state(success.key), success.observe_time, self.now).standing
        if standing is None:
            return None
        time = max(success.observe_time, standing.last_seen_time + _INSTANT)
        return self.clear(replace(success, observe_time=time), caller).alert

    def keep(self, key: Key, decision: Decision[object]) -> None:
        """Take what was decided on a key as its state from now on."""
        self._keep(key, self.state(key), decision)

    def _keep(self, key: Key, before: KeyState, decision: Decision[object]) -> None:
        state, _, _, changes = decision
        if state is before:
            return
        self.changed_states[key] = state
        alert = state.alert
        if alert is not None and alert is not before.alert:
            self.changed_alerts[alert.alert_id] = alert
        for change in changes:
            self.events.append(self._event(change))

    def _is_beyond(self, failure: Failure) -> bool:
        host_id = failure.key.host_id
        flood = self.state(floods.flood_key(host_id))
        return floods.is_beyond(failure, self.state(failure.key), flood, self.rooms[host_id])

    def _facts(self, host_id: str) -> HostFacts:
        host = self.hosts.get(host_id)
        if host is None:
            return HostFacts(host_id)
        return HostFacts(host.spec.name or host_id, host.spec.labels)

    def _event(self, change: Change) -> Event:
        kind, alert, caller, occur_time, note = change
        return Event(
            self.new_id(),
            kind,
            alert,
            caller.actor,
            caller.on_behalf_of,
            note,
            occur_time,
            self.now,
            caller.traceparent,
        )
