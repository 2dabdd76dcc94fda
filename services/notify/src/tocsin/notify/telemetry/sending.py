"""Deliveries as they are sent: counted and timed, and told as spans where traces are made."""

from __future__ import annotations

from contextlib import contextmanager
from logging import DEBUG, WARNING
from time import perf_counter
from typing import TYPE_CHECKING

import structlog

from tocsin.common.telemetry.measures import LONG_SECONDS, Counts, Family, Histogram
from tocsin.notify.channels.registry import Senders
from tocsin.notify.channels.tracing import traced_as
from tocsin.notify.domain.delivery import AttemptOutcome
from tocsin.notify.domain.notification import Notification

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.trace import Tracer

    from tocsin.common.clock import Clock
    from tocsin.common.telemetry.measures import Reading
    from tocsin.notify.channels.base import Sender
    from tocsin.notify.domain.channel import Channel, ChannelType, Secrets
    from tocsin.notify.domain.delivery import Receipt
    from tocsin.notify.domain.notice import Message

ATTEMPTS = Family(
    "tocsin_notify_delivery_attempts_total",
    "counter",
    "Attempts by the channel and how they ended: delivered, retry (may succeed later), refused, "
    "ambiguous (it may have arrived).",
    ("channel_type", "channel", "outcome"),
)
DURATION = Family(
    "tocsin_notify_delivery_attempt_duration_seconds",
    "histogram",
    "How long attempts took.",
    ("channel_type",),
)
LATENCY = Family(
    "tocsin_notify_delivery_latency_seconds",
    "histogram",
    "From the commit of an event in tocsin-alert until a channel had accepted it. What a route, a "
    "silence or a retry made wait is in it.",
    ("channel_type",),
)

_log = structlog.get_logger(__name__)


class DeliveryMeasures:
    """Counts attempts."""

    families = (ATTEMPTS, DURATION, LATENCY)

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._counts = Counts()
        self._durations: dict[str, Histogram] = {}
        self._latencies: dict[str, Histogram] = {}

    def ended(self, message: Message, channel: Channel, receipt: Receipt, seconds: float) -> None:
        """Count an attempt. A message that took so long is counted once: when it arrived."""
        kind = channel.type.name.lower()
        self._counts[kind, channel.display_name, receipt.outcome.name.lower()] += 1
        self._durations.setdefault(kind, Histogram()).observe(seconds)
        if receipt.outcome is AttemptOutcome.DELIVERED and isinstance(message, Notification):
            waited = (self._clock.now() - message.record_time).total_seconds()
            latencies = self._latencies.setdefault(kind, Histogram(LONG_SECONDS))
            latencies.observe(max(0.0, waited))

    def readings(self) -> Iterator[Reading]:
        yield from self._counts.readings(ATTEMPTS)
        for kind, histogram in self._durations.items():
            yield DURATION.of(histogram, kind)
        for kind, histogram in self._latencies.items():
            yield LATENCY.of(histogram, kind)


class WatchedSenders(Senders):
    """Other senders. Each attempt is measured, traced, and logged: at DEBUG if it arrives."""

    def __init__(self, inner: Senders, measures: DeliveryMeasures, tracer: Tracer | None) -> None:
        self._inner = inner
        self._measures = measures
        self._tracer = tracer

    def of(self, channel_type: ChannelType) -> Sender:
        """Return the sender for channels of this type, watched."""
        return _WatchedSender(self._inner.of(channel_type), self._measures, self._tracer)

    async def close(self) -> None:
        """Close the other senders."""
        await self._inner.close()


class _WatchedSender:
    """One sender under watch."""

    def __init__(self, inner: Sender, measures: DeliveryMeasures, tracer: Tracer | None) -> None:
        self._inner = inner
        self._measures = measures
        self._tracer = tracer

    async def send(self, message: Message, channel: Channel, secrets: Secrets) -> Receipt:
        began = perf_counter()
        with _span(self._tracer, message, channel) as ended:
            receipt = await self._inner.send(message, channel, secrets)
            ended.append(receipt)
        self._measures.ended(message, channel, receipt, perf_counter() - began)
        _tell(message, channel, receipt)
        return receipt

    async def close(self) -> None:
        """Close the sender."""
        await self._inner.close()


def _tell(message: Message, channel: Channel, receipt: Receipt) -> None:
    delivered = receipt.outcome is AttemptOutcome.DELIVERED
    _log.log(
        DEBUG if delivered else WARNING,
        "attempt_delivered" if delivered else "attempt_failed",
        channel_id=str(channel.channel_id),
        event_id=str(message.event_id),
        alert_id=str(message.alert.alert_id) if isinstance(message, Notification) else None,
        outcome=receipt.outcome.name,
        status_code=receipt.status_code,
        detail=receipt.detail,
    )


@contextmanager
def _span(tracer: Tracer | None, message: Message, channel: Channel) -> Iterator[list[Receipt]]:
    """Make a span of an attempt, linked to the trace in which its event was made.

    It is no child of that: the event was committed long ago, or may be told much later.
    """
    ended: list[Receipt] = []
    if tracer is None:
        yield ended
        return
    from opentelemetry.trace import SpanKind, Status, StatusCode

    from tocsin.common.telemetry.tracing import links_to, traceparent_now

    traceparent = message.traceparent if isinstance(message, Notification) else ""
    attributes = {
        "tocsin.event_id": str(message.event_id),
        "tocsin.event_type": message.event_type,
        "tocsin.channel_id": str(channel.channel_id),
        "tocsin.channel_type": channel.type.name.lower(),
    }
    with tracer.start_as_current_span(
        f"deliver {channel.type.name.lower()}",
        kind=SpanKind.PRODUCER,
        links=links_to(traceparent),
        attributes=attributes,
    ) as span:
        with traced_as(traceparent_now()):
            yield ended
        for receipt in ended:
            span.set_attribute("tocsin.outcome", receipt.outcome.name.lower())
            if receipt.outcome is not AttemptOutcome.DELIVERED:
                span.set_status(Status(StatusCode.ERROR, receipt.detail))
