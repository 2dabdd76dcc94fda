"""Why an alert was told, or not, or not yet: every decision in its order. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from tocsin.notify.domain.decision import DecisionReason
from tocsin.notify.domain.delivery import AttemptOutcome, DeliveryState
from tocsin.notify.domain.health import BreakerState
from tocsin.notify.rpc import explanation_text as text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from uuid import UUID

    from tocsin.notify.domain.decision import KeptDecision
    from tocsin.notify.domain.delivery import Attempt, Delivery
    from tocsin.notify.domain.explanation import History, Standing

MOST: Final = 1_000
"""How many decisions are told, the last of them."""

OUT_OF_STEP: Final = timedelta(minutes=1)
"""Notify says every ten seconds that it has read all there is; after so long it has not."""


@dataclass(frozen=True, slots=True)
class Reasoned:
    """One decision, with what it is about. `event_type` is dotted, empty when it is forgotten."""

    time: datetime
    reason: DecisionReason
    text: str
    event_id: UUID | None = None
    event_type: str = ""
    channel_id: UUID | None = None
    delivery_id: UUID | None = None
    route_id: UUID | None = None
    by: UUID | None = None
    until: datetime | None = None
    attempt_number: int = 0


@dataclass(frozen=True, slots=True)
class Summary:
    """Where one channel stands with the alert, in a sentence."""

    channel: Standing
    text: str


@dataclass(frozen=True, slots=True)
class Explained:
    """The answer. `truncated`: older decisions were left out."""

    decisions: tuple[Reasoned, ...]
    summaries: tuple[Summary, ...]
    truncated: bool


def explain(history: History, now: datetime) -> Explained:
    """Explain an alert by its history, which has at least one event."""
    decisions = [
        *_missed(history),
        *(each for delivery in history.deliveries for each in _of_delivery(history, delivery)),
        *_not_named(history),
    ]
    decisions.sort(key=lambda each: each.time)
    decisions += _present(history, now)
    return Explained(
        tuple(decisions[-MOST:]),
        tuple(_summary(history, channel, now) for channel in history.channels.values()),
        truncated=history.truncated or len(decisions) > MOST,
    )


def _missed(history: History) -> Iterator[Reasoned]:
    """Yield why nobody was told of an event."""
    types = {event.event_id: event.type.dotted for event in history.events}
    for kept in history.decisions:
        if kept.delivery_id is None:
            yield Reasoned(
                kept.time,
                kept.reason,
                text.missed(kept.reason),
                event_id=kept.event_id,
                event_type=types.get(kept.event_id, ""),
            )


def _of_delivery(history: History, delivery: Delivery) -> Iterator[Reasoned]:
    reason, told = text.addressed(history, delivery)
    yield _about(delivery, delivery.create_time, reason, told)
    for kept in history.decisions:
        if kept.delivery_id == delivery.delivery_id:
            yield _hold(history, delivery, kept)
    if delivery.carried_by is not None:
        yield from _carried(history, delivery, delivery.carried_by)
    yield from _attempts(delivery, history.attempts.get(delivery.delivery_id, ()))
    is_untold = delivery.state not in {DeliveryState.DELIVERED, DeliveryState.PENDING}
    if delivery.settle_time is not None and is_untold:
        yield _about(
            delivery,
            delivery.settle_time,
            delivery.reason,
            text.ended(delivery),
            by=delivery.held_by,
        )


def _hold(history: History, delivery: Delivery, kept: KeptDecision) -> Reasoned:
    told = text.held(history, kept.reason, kept.until, kept.by)
    return _about(delivery, kept.time, kept.reason, told, by=kept.by, until=kept.until)


def _carried(history: History, delivery: Delivery, digest_id: UUID) -> Iterator[Reasoned]:
    attempts = history.attempts.get(digest_id, ())
    since = attempts[0].start_time if attempts else delivery.create_time
    yield _about(delivery, since, DecisionReason.CARRIED, text.carried(delivery), by=digest_id)
    yield from _attempts(delivery, attempts, in_digest=True)


def _attempts(
    delivery: Delivery, attempts: tuple[Attempt, ...], *, in_digest: bool = False
) -> Iterator[Reasoned]:
    for attempt in attempts:
        if attempt.outcome is AttemptOutcome.DELIVERED:
            reason = DecisionReason.DELIVERED
            told, until = text.delivered(delivery, attempt, in_digest=in_digest), None
        else:
            reason = DecisionReason.ATTEMPTED
            is_last = attempt.number == delivery.attempt_count and not in_digest
            is_retried = is_last and delivery.state is DeliveryState.PENDING
            until = delivery.next_attempt_time if is_retried else None
            told = text.attempted(attempt, in_digest=in_digest, next_time=until)
        time = attempt.finish_time or attempt.start_time
        yield _about(delivery, time, reason, told, until=until, attempt_number=attempt.number)


def _not_named(history: History) -> Iterator[Reasoned]:
    """Yield why channels were left out although others were addressed."""
    if not history.deliveries and any(each.delivery_id is None for each in history.decisions):
        return
    named = {delivery.channel_id for delivery in history.deliveries}
    first = history.events[0]
    for channel in history.channels.values():
        if channel.channel_id not in named:
            reason, told = text.not_named(history, channel)
            yield Reasoned(
                first.receive_time,
                reason,
                told,
                event_id=first.event_id,
                event_type=first.type.dotted,
                channel_id=channel.channel_id,
            )


def _present(history: History, now: datetime) -> Iterator[Reasoned]:
    """Yield what keeps the deliveries that wait, beyond what is kept with them."""
    for delivery in history.deliveries:
        if _waits(delivery):
            found = _obstacle(history, delivery, now)
            if found is not None:
                yield found


def _obstacle(history: History, delivery: Delivery, now: datetime) -> Reasoned | None:
    channel = history.channels.get(delivery.channel_id)
    if channel is None:
        return None
    found = _of_the_channel(channel, delivery, now)
    if found is not None:
        return found
    before = [each for each in history.deliveries if _is_before(each, delivery)]
    if before:
        by = before[-1].delivery_id
        return _about(delivery, now, DecisionReason.BEHIND, text.behind(), by=by)
    if not _is_due(delivery, now) or _is_in_step(history, now):
        return None
    return _about(delivery, now, DecisionReason.CATCHING_UP, text.catching_up(history))


def _of_the_channel(channel: Standing, delivery: Delivery, now: datetime) -> Reasoned | None:
    """Return what keeps everything from a channel, None when nothing does."""
    if not channel.enabled:
        told = f"Waits: {channel.display_name} is disabled."
        return _about(delivery, now, DecisionReason.CHANNEL_OFF, told)
    breaker, pause = channel.breaker, channel.paused_until
    if breaker is not None and breaker.state is not BreakerState.CLOSED:
        told, until = text.breaker_open(channel), breaker.probe_time
        return _about(delivery, now, DecisionReason.BREAKER_OPEN, told, until=until)
    if pause is None or pause <= now or not _is_due(delivery, now):
        return None
    return _about(delivery, now, DecisionReason.RATE_LIMITED, text.paused(channel), until=pause)


def _waits(delivery: Delivery) -> bool:
    is_waiting = delivery.state in {DeliveryState.PENDING, DeliveryState.HELD}
    return is_waiting and delivery.carried_by is None


def _is_before(other: Delivery, delivery: Delivery) -> bool:
    """Whether another one of the channel is under way, so that this one waits behind it."""
    is_under_way = other.state is DeliveryState.SENDING or (
        other.state is DeliveryState.HELD and other.carried_by is not None
    )
    return is_under_way and other.channel_id == delivery.channel_id


def _is_due(delivery: Delivery, now: datetime) -> bool:
    return delivery.next_attempt_time is not None and delivery.next_attempt_time <= now


def _is_in_step(history: History, now: datetime) -> bool:
    since = history.caught_up_time
    return since is not None and now - since < OUT_OF_STEP


def _summary(history: History, channel: Standing, now: datetime) -> Summary:
    own = [each for each in history.deliveries if each.channel_id == channel.channel_id]
    if not own:
        missed = [each for each in history.decisions if each.delivery_id is None]
        if not history.deliveries and missed:
            return Summary(channel, text.missed(missed[-1].reason))
        return Summary(channel, text.not_named(history, channel)[1])
    told = [each for each in own if each.state is DeliveryState.DELIVERED]
    parts = [_told(each) for each in told[-1:]]
    if not told:
        parts.append("may have been told" if channel.maybe_told else "not told")
    if own[-1].state is not DeliveryState.DELIVERED:
        obstacle = _obstacle(history, own[-1], now) if _waits(own[-1]) else None
        parts.append(text.short(own[-1]))
        parts += [obstacle.text.removesuffix(".")] if obstacle else []
    return Summary(channel, "; ".join(parts))


def _told(delivery: Delivery) -> str:
    told = (delivery.told_as or delivery.event_type).dotted
    return f"{told} told {text.written(delivery.settle_time)}"


def _about(
    delivery: Delivery,
    time: datetime,
    reason: DecisionReason,
    told: str,
    *,
    by: UUID | None = None,
    until: datetime | None = None,
    attempt_number: int = 0,
) -> Reasoned:
    return Reasoned(
        time,
        reason,
        told,
        event_id=delivery.event_id,
        event_type=delivery.event_type.dotted,
        channel_id=delivery.channel_id,
        delivery_id=delivery.delivery_id,
        route_id=delivery.route_id,
        by=by,
        until=until,
        attempt_number=attempt_number,
    )
