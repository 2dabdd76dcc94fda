"""The morning proof: how all backups stand, told on a timetable even when all is well."""

from __future__ import annotations

from datetime import timedelta
from math import inf
from typing import TYPE_CHECKING, Final

from tocsin.client.errors import CallError
from tocsin.common.ids import uuid7
from tocsin.notify.domain.notice import NoticeType, Proof
from tocsin.notify.router.recurrence import next_time
from tocsin.notify.store import deliveries_waiting, inbox, notices, proofs
from tocsin.notify.store.collapse import NewDelivery

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from uuid import UUID

    import asyncpg

    from tocsin.common.clock import Clock
    from tocsin.common.ids import NewId
    from tocsin.common.postgres.engine import Database
    from tocsin.notify.store.proofs import DueProof
    from tocsin.notify.sweep.alert_calls import AlertCalls
    from tocsin.notify.sweep.convert import Protected

# How late a proof may be found due.
REST = timedelta(seconds=5)

PATIENCE: Final = timedelta(minutes=5)
"""How long an alert service that does not answer is asked again before that itself is told."""

USEFUL_FOR: Final = timedelta(hours=12)
"""After so long a proof tells nothing that anybody wants to know."""

LINES: Final = 200
"""How many source groups a proof lists at most."""


class ProofSweep:
    """Sends what is due; `step` is for a BackgroundLoop.

    Several processes may do it at once: one of them sends each proof. Times that were missed are
    made up for by one proof. `on_change` is called when there is something new to deliver.
    """

    def __init__(
        self,
        database: Database,
        calls: AlertCalls,
        *,
        clock: Clock,
        on_change: Callable[[], None],
        new_id: NewId = uuid7,
    ) -> None:
        self._database = database
        self._calls = calls
        self._clock = clock
        self._on_change = on_change
        self._new_id = new_id
        self._asked_since: datetime | None = None

    async def step(self) -> timedelta:
        """Tell the channels of all routes whose time has come, and return how long to rest."""
        now = self._clock.now()
        async with self._database.connection() as connection:
            due = await proofs.read_due(connection, now)
        if not due:
            return REST
        problem, protected = await self._ask(now)
        if problem is None:
            return REST
        for each in due:
            proof = proof_of(each.route.display_name, protected, problem, self._new_id(), now)
            await self._tell(each, proof, now)
        return REST

    async def _ask(self, now: datetime) -> tuple[str | None, Sequence[Protected]]:
        """Return how backups stand, or the problem with that; None while there is still hope."""
        try:
            protected = await self._calls.protections()
        except CallError as error:
            self._asked_since = self._asked_since or now
            is_given_up = now - self._asked_since >= PATIENCE
            return (f"tocsin-alert does not say it: {error}" if is_given_up else None), ()
        self._asked_since = None
        return "", protected

    async def _tell(self, due: DueProof, proof: Proof, now: datetime) -> None:
        recurrence = due.route.proof
        following = None if recurrence is None else next_time(recurrence, now)
        async with self._database.transaction() as connection:
            if not await proofs.take(connection, due, following):
                return
            made = await self._address(connection, due, proof, now)
        if made:
            self._on_change()

    async def _address(
        self, connection: asyncpg.Connection, due: DueProof, proof: Proof, now: datetime
    ) -> int:
        enabled = {each for each, on in (await inbox.lock_channels(connection)).items() if on}
        wanted = [each for each in due.route.channel_ids if each in enabled]
        if not wanted:
            return 0
        sequence = await notices.add(connection, proof, proof.event_id, now)
        rows = [
            NewDelivery(
                delivery_id=self._new_id(),
                channel_id=channel_id,
                alert_id=proof.event_id,
                event_id=proof.event_id,
                sequence=sequence,
                type=NoticeType.PROOF,
                route_id=due.route.route_id,
                expire_time=now + USEFUL_FOR,
            )
            for channel_id in wanted
        ]
        return await deliveries_waiting.address(connection, rows, now)


def proof_of(
    route_name: str, protected: Sequence[Protected], problem: str, event_id: UUID, now: datetime
) -> Proof:
    """Return the proof of these source groups: what is late first, then what has open alerts."""
    worst_first = sorted(protected, key=_order)
    return Proof(
        event_id=event_id,
        occur_time=now,
        route_name=route_name,
        total=len(protected),
        late=sum(each.is_late for each in protected),
        open_alerts=len(frozenset().union(*(each.alert_ids for each in protected))),
        lines=tuple(each.line for each in worst_first[:LINES]),
        problem=problem,
    )


def _order(each: Protected) -> tuple[bool, bool, float, str, str]:
    line = each.line
    # One without a good backup is worse than any that has one.
    age = inf if line.age is None else line.age.total_seconds()
    return (not each.is_late, not line.open_alerts, -age, line.host_name, line.source_group)
