"""Random histories of alerts, silences, routes, far sides and crashes, and what must hold in each.

All is done by the parts that the service itself consists of, on a real database, with a clock that
stands still between steps. What the far sides got is held against what happened.
"""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import time, timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from support.alert_stubs import alert_id, an_alert, an_event
from support.notify_ground import LEASE, Ground
from support.steering import a_route, a_silence
from support.storms import spec
from tocsin.api.alert.v1 import alert_pb2 as alerts
from tocsin.common.errors import FailedPreconditionError
from tocsin.notify.delivery.queue import DeliveryQueue
from tocsin.notify.delivery.retry import RetrySchedule
from tocsin.notify.domain.channel import ChannelType
from tocsin.notify.domain.delivery import AttemptOutcome, DeliveryState, Receipt
from tocsin.notify.domain.flap import FlapRule
from tocsin.notify.domain.matcher import Matcher, MatchField, MatchOperator
from tocsin.notify.domain.notice import Digest
from tocsin.notify.domain.notification import EventType, Notification
from tocsin.notify.domain.route import QuietHours, Reminders
from tocsin.notify.store.routes import RouteStore
from tocsin.notify.store.silences import SilenceStore

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from datetime import datetime

    from support.clock import ManualClock
    from tocsin.common.postgres.engine import Database
    from tocsin.notify.delivery.queue import Claim
    from tocsin.notify.domain.silence import Silence

    UnderWay = tuple[UUID, Claim, Receipt]

HOUR = timedelta(hours=1)
SCHEDULE = RetrySchedule(
    tuple(timedelta(seconds=seconds) for seconds in (0, 5, 60, 60, 600, 600, 3600, 3600))
)
FLAPPING = FlapRule(raises=3, window=2 * HOUR, calm=HOUR)
NEVER = FlapRule(raises=0, window=HOUR, calm=HOUR)

# What an attempt meets: whether it arrives, and what is settled; None: the worker dies before.
DELIVERED = Receipt(AttemptOutcome.DELIVERED, 204)
RETRY = Receipt(AttemptOutcome.RETRY, 503, "503 Service Unavailable")
REFUSED = Receipt(AttemptOutcome.REFUSED, 404, "404 Not Found")
UNSURE = Receipt(AttemptOutcome.AMBIGUOUS, 0, "connection reset")
FATES: Final[dict[str, tuple[bool, Receipt | None, int]]] = {
    "arrives": (True, DELIVERED, 12),
    "arrives, and nobody knows": (True, UNSURE, 3),
    "is lost, and nobody knows": (False, UNSURE, 2),
    "fails": (False, RETRY, 5),
    "is refused": (False, REFUSED, 1),
    "arrives, and the worker dies": (True, None, 2),
    "the worker dies": (False, None, 2),
}

# Nothing that follows on what may have been told is held, but by its order and a rate limit.
_HELD_BACK = """
SELECT d.delivery_id, d.reason FROM deliveries d JOIN tellings t USING (channel_id, alert_id)
 WHERE d.channel_id = ANY($1::uuid[]) AND d.state = 6 AND d.carried_by IS NULL
   AND t.maybe_told AND d.reason NOT IN (11, 14)
"""
_UNFINISHED = """
SELECT d.state, d.reason, d.next_attempt_time, i.document -> 'alert' ->> 'alert_id', i.type
  FROM deliveries d JOIN inbox_events i USING (event_id)
 WHERE d.channel_id = ANY($1::uuid[]) AND d.state IN (1, 2, 6)
"""
_ROWS = """
SELECT d.channel_id, d.alert_id, i.revision, d.event_id, d.state, d.reason, d.maybe_told
  FROM deliveries d JOIN inbox_events i USING (event_id)
 WHERE d.channel_id = ANY($1::uuid[]) AND i.type < 100 ORDER BY d.sequence
"""
_CLEAN = """
WITH gone AS (
    UPDATE channels SET enabled = false, delete_time = now() WHERE delete_time IS NULL
), unrouted AS (DELETE FROM routes), unsilenced AS (DELETE FROM silences)
DELETE FROM known_alerts
"""


@dataclass
class Subject:
    """One alert, as the alert service would have it."""

    number: int
    key: str
    is_over: bool = False
    is_known: bool = False
    severity: int = alerts.SEVERITY_WARNING
    root: Subject | None = None
    newest: int = 0
    event_ids: list[UUID] = field(default_factory=list)

    @property
    def alert_id(self) -> UUID:
        return UUID(alert_id(self.number))

    def stub(self) -> alerts.Alert:
        status = alerts.ALERT_STATUS_ACKNOWLEDGED if self.is_known else alerts.ALERT_STATUS_OPEN
        return an_alert(
            self.number,
            dedup_key=self.key,
            severity=self.severity,
            status=alerts.ALERT_STATUS_RESOLVED if self.is_over else status,
            suppressed_by="" if self.root is None else alert_id(self.root.number),
        )


@dataclass(frozen=True)
class Heard:
    """One piece of news that arrived, by itself or in a digest."""

    event_id: UUID
    type: EventType


class History:
    """One history, told by its seed. `run` returns what is wrong with it."""

    def __init__(self, database: Database, clock: ManualClock, seed: int) -> None:
        self.random = random.Random(seed)
        self.clock = clock
        self.seed = seed
        rule = FLAPPING if self.random.random() < 0.2 else NEVER
        self.ground = Ground(database, clock, flap_rule=rule)
        self.queues = [self._queue(), self._queue()]
        self.routes = RouteStore(database, clock)
        self.silences = SilenceStore(database, clock)
        self.subjects: list[Subject] = []
        self.active: list[tuple[Silence, str]] = []
        self.channel_ids: list[UUID] = []
        self.under_way: list[UnderWay] = []
        self.heard: dict[tuple[UUID, UUID], list[Heard]] = defaultdict(list)
        self.maybe: set[tuple[UUID, UUID]] = set()
        self.redelivered: set[UUID] = set()
        self.problems: list[str] = []
        self.steps: list[str] = []

    def _queue(self) -> DeliveryQueue:
        return DeliveryQueue(
            self.ground.database,
            clock=self.clock,
            lease=LEASE,
            schedule=SCHEDULE,
            roll=lambda: 0.5,
            specs={ChannelType.CONSOLE: spec(rate=None)},
        )

    async def run(self, steps: int = 25) -> list[str]:
        last = await self.ground.rows("SELECT revision FROM follower_position")
        self.ground.revision = int(str(last[0][0])) if last else 0
        for limited in (False, self.random.random() < 0.4):
            await self._add_channel(limited=limited)
        if self.random.random() < 0.5:  # else all are told of everything until there are routes
            await self._edit_routes()
        actions = self._actions()
        for _ in range(steps):
            [action] = self.random.choices(list(actions), weights=list(actions.values()))
            self.steps.append(action.__name__.lstrip("_"))
            await action()
            await self._check_holds()
        await self._heal()
        await self._check_end()
        await self.ground.rows(_CLEAN)
        return [f"seed {self.seed}: {problem} after {self.steps}" for problem in self.problems]

    def _actions(self) -> dict[Callable[[], Awaitable[None]], int]:
        return {
            self._happens: 10,
            self._work: 12,
            self._settle: 8,
            self._reclaim: 2,
            self._time_passes: 6,
            self._silence: 2,
            self._end_silence: 1,
            self._edit_routes: 2,
            self._switch_channel: 1,
            self._redeliver: 1,
            self._restart: 1,
        }

    # What happens to alerts.

    async def _happens(self) -> None:
        events = [self._event() for _ in range(self.random.choice((1, 1, 1, 2, 3)))]
        await self.ground.take_in(*events)

    def _event(self) -> Any:
        key = f"history-{self.seed}-{self.random.randrange(3)}"
        present = next(
            (each for each in self.subjects if each.key == key and not each.is_over), None
        )
        if present is None:
            present = Subject(self.seed * 100 + len(self.subjects) + 1, key)
            if self.random.random() < 0.3:
                present.root = next((each for each in self.subjects if not each.is_over), None)
            self.subjects.append(present)
            return self._said(present, EventType.RAISED)
        return self._said(present, self._changed(present))

    def _changed(self, subject: Subject) -> EventType:
        choices = [EventType.RESOLVED, EventType.CAUSE_CHANGED]
        choices.append(EventType.UNACKNOWLEDGED if subject.is_known else EventType.ACKNOWLEDGED)
        if subject.severity < alerts.SEVERITY_CRITICAL:
            choices.append(EventType.SEVERITY_CHANGED)
        if subject.root is not None:
            choices.append(EventType.UNSUPPRESSED)
        return self.random.choice(choices)

    def _said(self, subject: Subject, type: EventType) -> Any:  # noqa: A002 - the field's name
        match type:
            case EventType.RESOLVED:
                subject.is_over = True
            case EventType.SEVERITY_CHANGED:
                subject.severity = alerts.SEVERITY_CRITICAL
            case EventType.ACKNOWLEDGED:
                subject.is_known = True
            case EventType.UNACKNOWLEDGED:
                subject.is_known = False
            case EventType.UNSUPPRESSED:
                subject.root = None
        subject.newest = self.ground.next()
        event = an_event(subject.newest, subject.stub(), type.value)
        subject.event_ids.append(UUID(event.event_id))
        return event

    # What workers and far sides do.

    async def _work(self) -> None:
        await self._take(self.random.choice(self.queues), self._fate)

    async def _take(self, queue: DeliveryQueue, fate: Callable[[], str]) -> int:
        channel_id = self.random.choice(self.channel_ids)
        claims = await queue.claim(channel_id, self.random.choice((1, 3, 8)))
        for claim in claims:
            arrives, receipt, _ = FATES[fate()]
            self._check_first_news(channel_id, claim)
            self._note(channel_id, claim, arrives=arrives, receipt=receipt)
            if receipt is not None:
                self.under_way.append((channel_id, claim, receipt))
        return len(claims)

    def _fate(self) -> str:
        weights = [weight for _, _, weight in FATES.values()]
        return self.random.choices(list(FATES), weights=weights)[0]

    def _note(
        self, channel_id: UUID, claim: Claim, *, arrives: bool, receipt: Receipt | None
    ) -> None:
        is_certain = receipt is RETRY or receipt is REFUSED
        for subject_id, heard in news_in(claim):
            if arrives:
                self.heard[channel_id, subject_id].append(heard)
            if arrives or not is_certain:
                self.maybe.add((channel_id, subject_id))

    async def _settle(self) -> None:
        for _ in range(min(len(self.under_way), self.random.choice((1, 2, 8)))):
            place = self.random.randrange(len(self.under_way))
            _, claim, receipt = self.under_way.pop(place)
            await self.random.choice(self.queues).settle(claim, receipt)

    async def _reclaim(self) -> None:
        """What was not settled in time may have been told, whatever its worker knows."""
        self._lose(each for each in self.under_way if each[1].lease_expire_time <= self.clock.now())
        await self.random.choice(self.queues).reclaim_lost()

    async def _restart(self) -> None:
        """Half of what is under way is never settled."""
        lost = [each for each in self.under_way if self.random.random() < 0.5]
        self._lose(lost)
        self.under_way = [each for each in self.under_way if each not in lost]

    def _lose(self, lost: Iterable[UnderWay]) -> None:
        for channel_id, claim, _ in lost:
            self.maybe.update((channel_id, subject_id) for subject_id, _ in news_in(claim))

    async def _time_passes(self) -> None:
        self.clock.advance(seconds=self.random.choice((1, 5, 31, 60, 300, 3_600, 20_000)))

    # What people do.

    async def _silence(self) -> None:
        key = f"history-{self.seed}-{self.random.randrange(3)}"
        matcher = Matcher(MatchField.DEDUP_KEY, MatchOperator.ANY_OF, (key,))
        duration = self.random.choice((timedelta(minutes=1), HOUR, 8 * HOUR))
        silence = await self.silences.create(a_silence(self.clock.now(), duration, matcher))
        self.active.append((silence, key))

    async def _end_silence(self) -> None:
        if self.active:
            silence, _ = self.active.pop(self.random.randrange(len(self.active)))
            await self.silences.expire(silence.silence_id, "ann")

    async def _edit_routes(self) -> None:
        present = await self.routes.list_all()
        if present and self.random.random() < 0.6:
            route = self.random.choice(present)
            if self.random.random() < 0.4:
                await self.routes.delete(route.route_id)
            else:
                enabled = not route.enabled
                await self.routes.update(replace(route, enabled=enabled))
            return
        some = self.random.sample(self.channel_ids, self.random.choice((1, 2)))
        await self.routes.create(a_route(*some, **self._manner_of_route()))

    def _manner_of_route(self) -> dict[str, Any]:
        chance = self.random.random
        key = f"history-{self.seed}-{self.random.randrange(3)}"
        one = Matcher(MatchField.DEDUP_KEY, MatchOperator.ANY_OF, (key,))
        beginnings = Matcher(MatchField.EVENT_TYPE, MatchOperator.ANY_OF, ("RAISED",))
        return {
            "matchers": self.random.choice(((), (one,), (beginnings,))),
            "continue_matching": chance() < 0.3,
            "group_wait": self.random.choice((timedelta(), timedelta(minutes=2))),
            "quiet_hours": QuietHours("UTC", time(22), time(6)) if chance() < 0.3 else None,
            "reminders": Reminders(HOUR, 2.0, 8 * HOUR, 3) if chance() < 0.3 else None,
        }

    async def _add_channel(self, *, limited: bool) -> None:
        channel_id = await self.ground.channel_named(f"history {self.seed} {len(self.channel_ids)}")
        if limited:
            await self.ground.rows(
                """UPDATE channels SET rate_limit = '{"burst": 2, "refill_seconds": 60}'
                    WHERE channel_id = $1""",
                channel_id,
            )
        self.channel_ids.append(channel_id)

    async def _switch_channel(self) -> None:
        await self.ground.rows(
            "UPDATE channels SET enabled = NOT enabled WHERE channel_id = $1",
            self.random.choice(self.channel_ids),
        )

    async def _redeliver(self) -> None:
        final = (DeliveryState.DEAD, DeliveryState.DELIVERED)
        rows = [each for each in await self.ground.of(self.channel_ids[0]) if each.state in final]
        if not rows:
            return
        chosen = self.random.choice(rows)
        try:
            await self.ground.deliveries.redeliver(chosen.delivery_id)
        except FailedPreconditionError:
            return
        self.redelivered.add(chosen.event_id)

    # What must hold.

    def _check_first_news(self, channel_id: UUID, claim: Claim) -> None:
        now = self.clock.now()
        if isinstance(claim.message, Digest) and claim.attempt > 1:
            return  # it is told as it was begun
        for subject_id, heard in news_in(claim):
            is_first = (channel_id, subject_id) not in self.maybe
            subject = self._subject(subject_id)
            if (
                is_first
                and heard.type is not EventType.RESOLVED
                and self._is_silenced(subject, now)
            ):
                self.problems.append(f"{subject_id} is told in a silence")
            if is_first and heard.type not in {EventType.RAISED, EventType.ACKNOWLEDGED}:
                self.problems.append(f"{subject_id} is first told as {heard.type.name}")

    def _is_silenced(self, subject: Subject, now: datetime) -> bool:
        return any(
            key == subject.key and silence.end_time is not None and now < silence.end_time
            for silence, key in self.active
        )

    def _subject(self, subject_id: UUID) -> Subject:
        return next(each for each in self.subjects if each.alert_id == subject_id)

    async def _check_holds(self) -> None:
        for row in await self.ground.rows(_HELD_BACK, self.channel_ids):
            self.problems.append(f"held although its alert was told: {row}")

    async def _heal(self) -> None:
        """Everything works again, until nothing waits any more."""
        self.steps.append("heal")
        await self.ground.rows(
            "UPDATE channels SET enabled = true WHERE channel_id = ANY($1::uuid[])",
            self.channel_ids,
        )
        roots = {id(each.root) for each in self.subjects if each.root is not None}
        for subject in self.subjects:
            if not subject.is_over and (id(subject) in roots or self.random.random() < 0.5):
                await self.ground.take_in(self._said(subject, EventType.RESOLVED))
        while self.under_way:
            await self._settle()
        for _ in range(60):
            self.clock.advance(HOUR)
            await self._reclaim()
            await self._drain()
            if not await self.ground.rows(_UNFINISHED, self.channel_ids):
                return
        self.problems.append(f"unfinished: {await self.ground.rows(_UNFINISHED, self.channel_ids)}")

    async def _drain(self) -> None:
        idle = 0
        while idle < 6:  # a channel is chosen at random each time
            self.clock.advance(seconds=1)
            idle = 0 if await self._take(self.queues[0], lambda: "arrives") else idle + 1
            while self.under_way:
                await self._settle()

    async def _check_end(self) -> None:
        by_pair: dict[tuple[Any, Any], dict[Any, list[Any]]] = defaultdict(dict)
        for channel_id, subject_id, revision, *rest in await self.ground.rows(
            _ROWS, self.channel_ids
        ):
            by_pair[channel_id, subject_id][revision] = rest
        for (channel_id, subject_id), rows in by_pair.items():
            if any(each.alert_id == subject_id for each in self.subjects):
                self._check_pair((channel_id, subject_id), rows)
        for pair in self.heard.keys() - by_pair.keys():
            self.problems.append(f"{pair} was told and never addressed")

    def _check_pair(self, pair: tuple[UUID, UUID], rows: dict[int, list[Any]]) -> None:
        subject, heard = self._subject(pair[1]), self.heard.get(pair, [])
        if subject.newest not in rows:
            self.problems.append(f"the newest of {subject.number} was not addressed")
            return
        event_id, state, reason, _ = rows[subject.newest]
        arrived = {each.event_id for each in heard}
        expected = {
            DeliveryState.DELIVERED: event_id in arrived,
            DeliveryState.DEAD: True,
            DeliveryState.SUPPRESSED: subject.is_over and reason == 31 and pair not in self.maybe,
        }
        if not expected.get(DeliveryState(state), False):
            self.problems.append(f"the newest of {subject.number} ended as {state}, {reason}")
        self._check_heard(subject, heard)

    def _check_heard(self, subject: Subject, heard: list[Heard]) -> None:
        order = {event_id: place for place, event_id in enumerate(subject.event_ids)}
        firsts = list({each.event_id: each for each in reversed(heard)}.values())[::-1]
        places = [order[each.event_id] for each in firsts if each.event_id not in self.redelivered]
        ends = [place for place, each in enumerate(heard) if each.type is EventType.RESOLVED]
        raised = {
            each.event_id
            for each in heard
            if each.type is EventType.RAISED and each.event_id not in self.redelivered
        }
        found = {
            "out of order": places != sorted(places),
            "told again after its end": bool(ends)
            and any(each.type is not EventType.RESOLVED for each in heard[ends[0] :]),
            "raised twice": len(raised) > 1,
        }
        told = [each.type.name for each in heard]
        self.problems += [
            f"{subject.number} is {what}: {told}" for what, is_so in found.items() if is_so
        ]


def news_in(claim: Claim) -> list[tuple[UUID, Heard]]:
    """Return what a message tells of which alerts, a digest of all that it lists."""
    message = claim.message
    if isinstance(message, Digest):
        return [(line.alert_id, Heard(line.event_id, line.type)) for line in message.lines]
    if not isinstance(message, Notification):
        return []
    return [(message.alert.alert_id, Heard(message.event_id, message.type))]
