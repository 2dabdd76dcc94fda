"""One claim: what is due is decided, and what is to be sent is chosen. In one transaction.

How many statements that takes does not depend on how much is due.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tocsin.notify.delivery import breaker, digests, outcomes, statements, throttle
from tocsin.notify.delivery.cases import read_cases
from tocsin.notify.delivery.messages import read_message
from tocsin.notify.delivery.telling import (
    HoldRules,
    decide,
    waits_for_its_group,
    without_group_wait,
)
from tocsin.notify.delivery.throttle import share_out
from tocsin.notify.domain.decision import DecisionReason, End, Hold, Send
from tocsin.notify.domain.notice import message_type
from tocsin.notify.domain.notification import EventType, Notification
from tocsin.notify.router.tree import group_name
from tocsin.notify.store import channel_states

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    import asyncpg

    from tocsin.common.ids import NewId
    from tocsin.notify.delivery.limits import ChannelLimits
    from tocsin.notify.delivery.throttle import Parcel, Share
    from tocsin.notify.domain.notice import Message, MessageType
    from tocsin.notify.domain.telling import Case
    from tocsin.notify.store.channel_states import ChannelStateRow

RULES = HoldRules()


@dataclass(frozen=True, slots=True)
class Chosen:
    """A delivery that is to be sent now. `message` is None when the stored one is unreadable."""

    delivery_id: UUID
    told_as: MessageType
    message: Message | None
    attempt_count: int = 0
    retry_count: int = 0


@dataclass(slots=True)
class _Decided:
    sends: list[Case] = field(default_factory=list)
    holds: list[tuple[Case, Hold]] = field(default_factory=list)
    ends: list[tuple[Case, End]] = field(default_factory=list)


class Claiming:
    """A claim for one channel, on the connection of its transaction."""

    def __init__(
        self,
        connection: asyncpg.Connection,
        channel_id: UUID,
        limits: ChannelLimits,
        state: ChannelStateRow,
        *,
        now: datetime,
        lease_until: datetime,
        new_id: NewId,
    ) -> None:
        self._connection = connection
        self._channel_id = channel_id
        self._limits = limits
        self._state = state
        self._now = now
        self._lease_until = lease_until
        self._new_id = new_id
        self._any_held = False

    def room(self, limit: int) -> int:
        """Return how many may be sent now, of at most `limit`.

        None while the far side has asked to be left alone: what waits is not looked at then, and
        stays as it is.
        """
        if throttle.is_paused(self._state.bucket, self._now):
            return 0
        return breaker.room(self._state.breaker, limit, self._now, self._limits.update_time)

    async def choose(self, room: int, look: int) -> tuple[list[Chosen], int]:
        """Decide about at most `look` due deliveries, and choose at most `room` to send.

        Returns them, and how many were looked at. The state of the channel is locked: one claim at
        a time chooses by its tokens.
        """
        state = self._state
        rows = await self._connection.fetch(statements.DUE, self._channel_id, self._now, look)
        cases = await read_cases(self._connection, rows, self._now)
        self._any_held = bool(rows) and rows[0]["any_held"]
        decided = self._decide(cases)
        self._any_held |= any(hold.by is not None for _, hold in decided.holds)
        unreadable = _unreadable(rows, cases)[:room]
        parcels = await self._parcels(decided.sends, cases)
        share = share_out(
            parcels,
            state.bucket,
            self._limits.rate,
            carries_digests=self._limits.carries_digests,
            room=room - len(unreadable),
            now=self._now,
        )
        decided.holds += _rate_limited(share)
        await outcomes.hold(self._connection, decided.holds, self._now)
        await outcomes.end(self._connection, decided.ends, self._now)
        chosen = [*unreadable, *await self._singles(share), *await self._digests(share)]
        await self._save(state, share, chosen)
        return chosen, len(rows)

    def _decide(self, cases: Iterable[Case]) -> _Decided:
        decided = _Decided()
        for case in cases:
            outcome = decide(case, self._now, RULES)
            if isinstance(outcome, Send):
                decided.sends.append(_told_as(case, outcome))
            elif isinstance(outcome, Hold):
                decided.holds.append((case, outcome))
            else:
                decided.ends.append((case, outcome))
        return decided

    async def _parcels(self, sends: Sequence[Case], looked_at: Sequence[Case]) -> list[Parcel]:
        """Put what is told together into parcels: first news of one group, up to its size."""
        alone = [(case,) for case in sends if not waits_for_its_group(case)]
        groups: dict[str, list[Case]] = {}
        for case in sends:
            if waits_for_its_group(case):
                groups.setdefault(case.telling.group_key, []).append(case)
        for mate in await self._mates(groups, looked_at):
            groups.setdefault(mate.telling.group_key, []).append(mate)
        together = [part for group in groups.values() for part in _parts(group)]
        return [*alone, *together]

    async def _mates(
        self, groups: Mapping[str, Sequence[Case]], looked_at: Sequence[Case]
    ) -> list[Case]:
        """Return what waits for the same groups and may go out with them."""
        if not groups:
            return []
        most = sum(_size(cases[0]) for cases in groups.values())
        rows = await self._connection.fetch(
            statements.MATES,
            self._channel_id,
            list(groups),
            [case.delivery_id for case in looked_at],
            most,
        )
        cases = await read_cases(self._connection, rows, self._now)
        mates = [case for case in cases if waits_for_its_group(case)]
        # What is held for any other reason stays held.
        return self._decide(map(without_group_wait, mates)).sends

    async def _singles(self, share: Share) -> list[Chosen]:
        explained = await self._explained(share.singles) if self._any_held else {}
        return [
            Chosen(
                case.delivery_id,
                case.notification.type,
                _filled_in(case, explained),
                case.attempt_count,
                case.retry_count,
            )
            for case in share.singles
        ]

    async def _explained(self, cases: Sequence[Case]) -> dict[UUID, int]:
        """Return how many alerts each of these explains that wait because of it."""
        alert_ids = [
            case.telling.alert_id for case in cases if isinstance(case.notification, Notification)
        ]
        if not alert_ids:
            return {}
        rows = await self._connection.fetch(statements.EXPLAINED, self._channel_id, alert_ids)
        return {row["held_by"]: row["count"] for row in rows}

    async def _digests(self, share: Share) -> list[Chosen]:
        made = [
            await digests.make(
                self._connection,
                self._channel_id,
                parcel,
                self._now,
                new_id=self._new_id,
                group=_group_of(parcel),
            )
            for parcel in share.digests
        ]
        if not made:
            return []
        rows = await self._connection.fetch(statements.MADE, made)
        return [
            Chosen(
                row["delivery_id"],
                message_type(row["type"]),
                read_message(row["document"], row["delivery_id"]),
            )
            for row in rows
        ]

    async def _save(self, state: ChannelStateRow, share: Share, chosen: Sequence[Chosen]) -> None:
        if share.bucket != state.bucket:
            await channel_states.save_bucket(self._connection, self._channel_id, share.bucket)
        probing = breaker.probing(state.breaker, self._now, self._lease_until)
        if chosen and probing != state.breaker:
            await channel_states.save_breaker(self._connection, self._channel_id, probing)


def _told_as(case: Case, send: Send) -> Case:
    """Give the notification the type under which it is told; notices have but one."""
    notification, told_as = case.notification, send.told_as
    if notification.type is told_as:
        return case
    if not isinstance(notification, Notification) or not isinstance(told_as, EventType):
        return case
    return replace(case, notification=replace(notification, type=told_as))


def _filled_in(case: Case, explained: Mapping[UUID, int]) -> Message:
    notification = case.notification
    if not isinstance(notification, Notification):
        return notification
    explained_count = explained.get(case.telling.alert_id, 0)
    if not case.collapsed_count and not explained_count:
        return notification  # which has none of its own
    return replace(
        notification, collapsed_count=case.collapsed_count, explained_count=explained_count
    )


def _unreadable(rows: Sequence[asyncpg.Record], cases: Sequence[Case]) -> list[Chosen]:
    """Return what made no case: its attempt says so."""
    readable = {case.delivery_id for case in cases}
    return [
        Chosen(
            row["delivery_id"],
            message_type(row["told_as"] or row["type"]),
            None,
            row["attempt_count"],
            row["retry_count"],
        )
        for row in rows
        if row["delivery_id"] not in readable
    ]


def _rate_limited(share: Share) -> list[tuple[Case, Hold]]:
    if share.until is None:
        return []
    hold = Hold(DecisionReason.RATE_LIMITED, share.until)
    return [(case, hold) for case in share.held]


def _size(case: Case) -> int:
    return 1 if case.route is None else max(1, case.route.max_group_size)


def _parts(group: Sequence[Case]) -> list[Parcel]:
    size = _size(group[0])
    return [tuple(group[start : start + size]) for start in range(0, len(group), size)]


def _group_of(parcel: Parcel) -> str:
    """Return what the cases share, for people; empty when only a rate limit put them together."""
    first = parcel[0]
    is_group = first.telling.group_key and {case.telling.group_key for case in parcel} == {
        first.telling.group_key
    }
    if not is_group or first.route is None or not isinstance(first.notification, Notification):
        return ""
    return group_name(first.route, first.notification)
