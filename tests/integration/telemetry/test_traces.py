"""One trace from the caller to the event, and a link from the webhook back to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from support.alert import running_alert
from support.receiver import Answer
from support.telemetry import running_site
from support.waiting import eventually
from tocsin.api.alert.v1 import alert_service_pb2 as pb
from tocsin.api.alert.v1.alert_pb2 import SEVERITY_WARNING

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

pytestmark = pytest.mark.postgres

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CALLERS = f"00-{TRACE}-{SPAN}-01"
RAISE = pb.RaiseOrTouchRequest(host_id="web-1", kind="disk_full", severity=SEVERITY_WARNING)


class Traces:
    """What makes the spans of a service, and keeps them."""

    def __init__(self) -> None:
        self._kept = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self._kept))

    def ended(self, kind: SpanKind) -> list[ReadableSpan]:
        return [span for span in self._kept.get_finished_spans() if span.kind is kind]


def traceparent(span: ReadableSpan) -> str:
    made = span.context
    assert made is not None
    return f"00-{made.trace_id:032x}-{made.span_id:016x}-{made.trace_flags:02x}"


async def test_a_trace_leads_from_the_caller_to_the_event_and_the_webhook_links_to_it(
    alert_url: str, notify_url: str
) -> None:
    alerts, notifies = Traces(), Traces()
    async with running_site(
        alert_url, notify_url, alert_tracers=alerts.provider, notify_tracers=notifies.provider
    ) as site:
        stub = site.alert.alerts
        answer = await stub.RaiseOrTouch(RAISE, metadata=(("traceparent", CALLERS),))
        (request,) = await site.receiver.wait_for(1)
        await eventually(lambda: notifies.ended(SpanKind.PRODUCER))
        timeline = await stub.ListAlertEvents(
            pb.ListAlertEventsRequest(alert_id=answer.alert.alert_id)
        )

    raised = next(span for span in alerts.ended(SpanKind.SERVER) if "Raise" in span.name)
    assert raised.parent is not None
    assert (int(TRACE, 16), int(SPAN, 16)) == (raised.parent.trace_id, raised.parent.span_id)
    assert "tocsin.api.alert.v1.AlertService/RaiseOrTouch" == raised.name

    assert traceparent(raised) == timeline.events[0].traceparent == request.json["traceparent"]

    (delivery,) = notifies.ended(SpanKind.PRODUCER)
    (link,) = delivery.links
    assert raised.context is not None
    assert delivery.context is not None
    assert (raised.context.trace_id, raised.context.span_id) == (
        link.context.trace_id,
        link.context.span_id,
    )
    assert delivery.parent is None
    assert raised.context.trace_id != delivery.context.trace_id
    assert traceparent(delivery) == request.headers["traceparent"]
    assert {"tocsin.outcome": "delivered", "tocsin.channel_type": "webhook"}.items() <= dict(
        delivery.attributes or {}
    ).items()


async def test_each_attempt_has_a_span_and_those_that_fail_say_so(
    alert_url: str, notify_url: str
) -> None:
    notifies = Traces()
    async with running_site(alert_url, notify_url, notify_tracers=notifies.provider) as site:
        site.receiver.script(Answer(status=503))
        await site.alert.alerts.RaiseOrTouch(RAISE)
        requests = await site.receiver.wait_for(2)
        await eventually(lambda: len(notifies.ended(SpanKind.PRODUCER)) == 2)

    failed, delivered = notifies.ended(SpanKind.PRODUCER)
    assert StatusCode.ERROR == failed.status.status_code
    assert StatusCode.UNSET == delivered.status.status_code
    assert [traceparent(failed), traceparent(delivered)] == [
        each.headers["traceparent"] for each in requests
    ]
    assert not failed.links  # nobody traced the call, and nothing traced it here


async def test_what_the_server_could_not_do_is_an_error_and_what_was_asked_wrongly_is_none(
    alert_url: str,
) -> None:
    traces = Traces()
    async with running_alert(alert_url, tracers=traces.provider) as alert:
        with pytest.raises(grpc.aio.AioRpcError):
            await alert.alerts.GetAlert(pb.GetAlertRequest(alert_id="none"))

    (span,) = traces.ended(SpanKind.SERVER)
    assert StatusCode.UNSET == span.status.status_code
    assert (
        grpc.StatusCode.INVALID_ARGUMENT.value[0] == (span.attributes or {})["rpc.grpc.status_code"]
    )


async def test_streams_and_health_have_no_span(alert_url: str) -> None:
    traces = Traces()
    async with running_alert(alert_url, tracers=traces.provider) as alert:
        stream = alert.alerts.WatchEvents(pb.WatchEventsRequest())
        await stream.read()
        stream.cancel()

    assert [] == traces.ended(SpanKind.SERVER)


async def test_without_traces_the_event_bears_what_the_caller_gave(
    alert_url: str, notify_url: str
) -> None:
    async with running_site(alert_url, notify_url) as site:
        await site.alert.alerts.RaiseOrTouch(RAISE, metadata=(("traceparent", CALLERS),))
        (request,) = await site.receiver.wait_for(1)

    assert CALLERS == request.json["traceparent"]
    assert "traceparent" not in request.headers
