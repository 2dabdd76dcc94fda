"""Deliveries and their attempts as people read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from tocsin.api.notify.v1.delivery_pb2 import AttemptOutcome, DeliveryState
from tocsin.cli.names import short_name
from tocsin.cli.references import short_id
from tocsin.cli.times import age, moment_of, stamp

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from google.protobuf.timestamp_pb2 import Timestamp

    from tocsin.api.notify.v1.delivery_pb2 import Attempt, Delivery
    from tocsin.cli.grid import Cell

DELIVERY_HEADINGS = ("ID", "CREATED", "EVENT", "HOST", "KIND", "KEY", "CHANNEL", "STATE", "DETAIL")
ALERT_DELIVERY_HEADINGS = ("DELIVERY", "TIME", "EVENT", "CHANNEL", "STATE", "DETAIL")
ATTEMPT_HEADINGS = ("ATTEMPT", "BEGAN", "TOOK", "OUTCOME", "STATUS", "DETAIL")

_STATE_STYLES = {"delivered": "green", "dead": "bold red", "suppressed": "dim", "pending": "yellow"}


def state_text(delivery: Delivery) -> Text:
    """Return the state, coloured."""
    name = short_name(DeliveryState, delivery.state)
    return Text(name, style=_STATE_STYLES.get(name, ""))


def outcome_name(attempt: Attempt) -> str:
    """Return how an attempt ended, `running` while it has not."""
    if attempt.outcome == AttemptOutcome.ATTEMPT_OUTCOME_UNSPECIFIED:
        return "running"
    return short_name(AttemptOutcome, attempt.outcome)


def delivery_row(delivery: Delivery, now: datetime) -> list[Cell]:
    """Return the row of a delivery under DELIVERY_HEADINGS."""
    return [
        short_id(delivery.delivery_id),
        age(moment_of(delivery.create_time), now),
        delivery.event_type,
        delivery.host_id,
        delivery.kind,
        delivery.dedup_key,
        delivery.channel_display_name,
        state_text(delivery),
        _detail(delivery, now),
    ]


def alert_delivery_row(delivery: Delivery, now: datetime) -> list[Cell]:
    """Return the row of a delivery of one alert under ALERT_DELIVERY_HEADINGS."""
    settled = delivery.HasField("settle_time")
    return [
        short_id(delivery.delivery_id),
        stamp(moment_of(delivery.settle_time if settled else delivery.create_time)),
        delivery.event_type,
        delivery.channel_display_name,
        state_text(delivery),
        _detail(delivery, now),
    ]


def delivery_fields(delivery: Delivery, now: datetime) -> Iterator[tuple[str, str | Text]]:
    """Yield what there is to tell about a delivery, by name."""
    synthetic = ", made from a snapshot" if delivery.synthetic else ""
    yield "delivery", delivery.delivery_id
    yield "event", f"{delivery.event_type} ({delivery.event_id}{synthetic})"
    yield "position", f"{delivery.epoch}:{delivery.revision}"
    yield "alert", delivery.alert_id
    yield "host", delivery.host_id
    yield "kind", delivery.kind
    yield "key", delivery.dedup_key
    yield "channel", f"{delivery.channel_display_name} ({delivery.channel_id})"
    yield "state", state_text(delivery)
    yield "reason", delivery.state_reason
    yield "created", _moment(delivery.create_time, now)
    if delivery.HasField("next_attempt_time"):
        held = delivery.state == DeliveryState.DELIVERY_STATE_HELD
        due = _moment(delivery.next_attempt_time, now)
        why = f"; why: tocsin why {short_id(delivery.alert_id)}"
        yield ("held until", due + why) if held else ("next attempt", due)
    if delivery.HasField("settle_time"):
        yield "settled", _moment(delivery.settle_time, now)


def attempt_row(attempt: Attempt) -> list[Cell]:
    """Return the row of an attempt under ATTEMPT_HEADINGS."""
    return [
        str(attempt.number),
        stamp(moment_of(attempt.start_time)),
        _took(attempt),
        outcome_name(attempt),
        str(attempt.status_code or ""),
        attempt.detail,
    ]


def _moment(moment: Timestamp, now: datetime) -> str:
    at = moment_of(moment)
    return f"{stamp(at)} ({age(at, now)})"


def _took(attempt: Attempt) -> str:
    if not attempt.HasField("finish_time"):
        return ""
    took = moment_of(attempt.finish_time) - moment_of(attempt.start_time)
    return f"{took.total_seconds():.2f}s"


def _detail(delivery: Delivery, now: datetime) -> str:
    if delivery.state == DeliveryState.DELIVERY_STATE_HELD:
        return f"until {stamp(moment_of(delivery.next_attempt_time))}"
    retried = delivery.HasField("next_attempt_time") and delivery.attempt_count
    parts = (
        f"{delivery.attempt_count} attempts" if delivery.attempt_count > 1 else "",
        f"next {age(moment_of(delivery.next_attempt_time), now)}" if retried else "",
        delivery.state_reason,
    )
    return ", ".join(part for part in parts if part)
