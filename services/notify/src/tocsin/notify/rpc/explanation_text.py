"""The sentences of an explanation. Pure."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Final

from tocsin.notify.domain.decision import DecisionReason
from tocsin.notify.domain.delivery import AttemptOutcome, DeliveryState

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from tocsin.notify.domain.delivery import Attempt, Delivery
    from tocsin.notify.domain.explanation import History, Standing

_HELD: Final = {
    DecisionReason.GROUP_WAIT: "others of its group may follow",
    DecisionReason.QUIET_HOURS: "quiet hours",
    DecisionReason.SILENCED: "silenced",
    DecisionReason.EXPLAINED: "another alert explains it",
    DecisionReason.RATE_LIMITED: "the rate limit of the channel is reached",
    DecisionReason.FLAPPING: "its key is raised again and again",
}
_ENDED: Final = {
    DecisionReason.NEVER_TOLD: "the channel never heard that it began",
    DecisionReason.ALREADY_OVER: "the alert was resolved by then",
    DecisionReason.TOO_LATE: "it came too late to be of use",
    DecisionReason.COLLAPSED: "newer news of the alert is told in its place",
}
_MISSED: Final = {
    DecisionReason.NO_ROUTE: "Nobody is told: no route matched.",
    DecisionReason.CHANNEL_OFF: "Nobody is told: no channel that it would go to is enabled.",
    DecisionReason.OWN_FAILURE: "Nobody is told: it says that a channel fails, and there is no"
    " other one.",
}


def written(time: datetime | None) -> str:
    """Write a time to the second, in UTC: 2026-01-31 22:15:00Z."""
    if time is None:
        return "an unknown time"
    return time.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "seconds") + "Z"


def addressed(history: History, delivery: Delivery) -> tuple[DecisionReason, str]:
    """Say why it is addressed to its channel."""
    name = delivery.channel_display_name
    if delivery.follows:
        return (
            DecisionReason.FOLLOWS,
            f"Goes to {name}, where the alert was addressed before.",
        )
    if delivery.route_id is None:
        return DecisionReason.DEFAULT_ROUTE, f"Goes to {name}: no route steers it elsewhere."
    return DecisionReason.ROUTED, f"Goes to {name} by {route(history, delivery.route_id)}."


def route(history: History, route_id: UUID) -> str:
    """Name a route."""
    name = history.routes.get(route_id)
    return f"a route that was deleted ({route_id})" if name is None else f"the route {name!r}"


def held(history: History, reason: DecisionReason, until: datetime | None, by: UUID | None) -> str:
    """Say what holds it, and until when."""
    why = _HELD.get(reason, reason.name.lower().replace("_", " "))
    if reason is DecisionReason.SILENCED and by is not None:
        why = f"silenced by {history.silences.get(by, f'a silence that is forgotten ({by})')}"
    if reason is DecisionReason.EXPLAINED:
        return f"Held: alert {by} explains it. Looked at again at {written(until)}."
    return f"Held until {written(until)}: {why}."


def carried(delivery: Delivery) -> str:
    """Say which digest carries it."""
    return f"Held for a digest that tells it with others ({delivery.carried_by})."


def attempted(attempt: Attempt, *, in_digest: bool, next_time: datetime | None) -> str:
    """Say how an attempt ended."""
    where = "In the digest, attempt" if in_digest else "Attempt"
    head = f"{where} {attempt.number}"
    if attempt.outcome is None:
        return f"{head} is under way."
    then = f" The next one comes at {written(next_time)}." if next_time is not None else ""
    if attempt.outcome is AttemptOutcome.AMBIGUOUS:
        return f"{head} may have arrived, nobody knows: {_met(attempt)}{then}"
    return f"{head} got {_met(attempt)}{then}"


def delivered(delivery: Delivery, attempt: Attempt, *, in_digest: bool) -> str:
    """Say that it arrived, and as what."""
    told = delivery.told_as or delivery.event_type
    way = "in a digest" if in_digest else "by itself"
    if told is not delivery.event_type:
        way = f"{way}, as {told.dotted}"
    return f"{delivery.channel_display_name} accepted it {way}, with attempt {attempt.number}."


def ended(delivery: Delivery) -> str:
    """Say why it ended without being told."""
    if delivery.state is DeliveryState.DEAD:
        return f"Given up. {_sentence(delivery.state_reason)}"
    why = _ENDED.get(delivery.reason, delivery.state_reason)
    return _sentence(f"Not told: {why}")


def missed(reason: DecisionReason) -> str:
    """Say why nobody is told."""
    return _MISSED.get(reason, "Nobody is told.")


def behind() -> str:
    """Say that it waits for an earlier one."""
    return "Waits until what is under way for the same alert has ended."


def breaker_open(channel: Standing) -> str:
    """Say since when the channel fails."""
    breaker = channel.breaker
    if breaker is None:
        return "Waits: the channel fails."
    error = f" with {breaker.last_error}" if breaker.last_error else ""
    return _sentence(
        f"Waits: {channel.display_name} fails since {written(breaker.failing_since)}{error}"
    )


def paused(channel: Standing) -> str:
    """Say until when the far side asked to be left alone."""
    until = written(channel.paused_until)
    return _sentence(f"Waits: {channel.display_name} asked to be left alone until {until}")


def catching_up(history: History) -> str:
    """Say that notify has not read all there is."""
    since = history.caught_up_time
    known = f"since {written(since)}" if since else "yet"
    return f"Waits: notify has not read all that happened {known}."


def not_named(history: History, channel: Standing) -> tuple[DecisionReason, str]:
    """Say why a channel was not addressed at all, though others were."""
    name, first = channel.display_name, history.events[0]
    if first.failing_channel == str(channel.channel_id):
        text = f"Not told to {name}: it is what fails. It is told through the others."
        return DecisionReason.OWN_FAILURE, text
    if not channel.enabled:
        return DecisionReason.CHANNEL_OFF, f"Not told to {name}: the channel is disabled."
    if channel.create_time > history.events[-1].receive_time:
        created = written(channel.create_time)
        return DecisionReason.NO_ROUTE, f"Not told to {name}: it was created later, at {created}."
    routes = {each.route_id for each in history.deliveries if each.route_id is not None}
    matched = ", ".join(sorted(route(history, each) for each in routes))
    instead = f"; what matched was {matched}" if matched else ""
    return DecisionReason.NO_ROUTE, f"Not told to {name}: no route that matched names it{instead}."


def short(delivery: Delivery) -> str:
    """Say in a few words where a delivery stands that was not told."""
    what = delivery.event_type.dotted
    match delivery.state:
        case DeliveryState.SENDING:
            return f"{what} is being sent"
        case DeliveryState.PENDING | DeliveryState.HELD:
            return f"{what} not yet told: {_waiting(delivery)}"
        case DeliveryState.DEAD:
            return f"{what} given up: {delivery.state_reason.rstrip('.')}"
        case _:
            return f"{what} not told: {_ENDED.get(delivery.reason, delivery.state_reason)}"


def _waiting(delivery: Delivery) -> str:
    if delivery.carried_by is not None:
        return "it waits for its digest"
    until = written(delivery.next_attempt_time)
    if delivery.state is DeliveryState.HELD:
        return f"{_HELD.get(delivery.reason, 'held')}, until {until}"
    if delivery.attempt_count:
        return f"{delivery.state_reason.rstrip('.') or 'it failed'}, next attempt at {until}"
    return "it waits for its turn"


def _met(attempt: Attempt) -> str:
    status = str(attempt.status_code) if attempt.status_code else ""
    told = attempt.detail
    if status and not told.startswith(status):
        told = f"{status}: {told}" if told else status
    return _sentence(told or "nothing that it told")


def _sentence(text: str) -> str:
    return text if text.endswith((".", "…", "!", "?")) else f"{text}."
