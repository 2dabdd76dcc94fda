"""Traces leave the process: by OTLP over HTTP, as tocsin-common[otel] sends them."""

from __future__ import annotations

import gzip
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from support.repository import ROOT
from support.telemetry import running_site
from support.waiting import eventually
from tocsin.api.alert.v1 import alert_service_pb2 as pb
from tocsin.api.alert.v1.alert_pb2 import SEVERITY_WARNING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from opentelemetry.proto.trace.v1.trace_pb2 import Span

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
RAISE_SPAN = "tocsin.api.alert.v1.AlertService/RaiseOrTouch"
RAISE = pb.RaiseOrTouchRequest(host_id="web-1", kind="disk_full", severity=SEVERITY_WARNING)


@dataclass
class Collector:
    """As much of a collector of OpenTelemetry as takes traces."""

    url: str = ""
    headers: list[str] = field(default_factory=list)
    spans: list[tuple[str, Span]] = field(default_factory=list)
    """Each with the name of the service that made it."""

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()  # aiohttp has unpacked it already, where it was packed
        if body[:2] == b"\x1f\x8b":
            body = gzip.decompress(body)
        self.headers.append(request.headers.get("x-collector-key", ""))
        for of_service in ExportTraceServiceRequest.FromString(body).resource_spans:
            names = {each.key: each.value.string_value for each in of_service.resource.attributes}
            for scope in of_service.scope_spans:
                self.spans += [(names["service.name"], span) for span in scope.spans]
        answer = ExportTraceServiceResponse().SerializeToString()
        return web.Response(body=answer, content_type="application/x-protobuf")

    def span(self, service: str, name: str) -> Span | None:
        """Return the first span of a service with a name, if one has come."""
        found = (span for maker, span in self.spans if (maker, span.name) == (service, name))
        return next(found, None)


@pytest.fixture
async def collector(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Collector]:
    """Run a collector, and have the services send to it."""
    async with running_collector() as running:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", running.url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-collector-key=s3cr3t")
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.delenv("OTEL_TRACES_EXPORTER", raising=False)
        yield running


@asynccontextmanager
async def running_collector() -> AsyncIterator[Collector]:
    collector = Collector()
    app = web.Application()
    app.router.add_post("/v1/traces", collector.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    collector.url = "http://{}:{}".format(*runner.addresses[0][:2])
    try:
        yield collector
    finally:
        await runner.cleanup()


@pytest.mark.postgres
async def test_a_collector_is_sent_the_spans_of_both_services(
    alert_url: str, notify_url: str, monkeypatch: pytest.MonkeyPatch, collector: Collector
) -> None:
    monkeypatch.setenv("TOCSIN_NOTIFY_TRACING", "true")
    async with running_site(alert_url, notify_url, tracing=True) as site:
        await site.alert.alerts.RaiseOrTouch(
            RAISE, metadata=(("traceparent", f"00-{TRACE}-{SPAN}-01"),)
        )
        await site.receiver.wait_for(1)
        raised = await eventually(lambda: collector.span("tocsin-alert", RAISE_SPAN))
        told = await eventually(lambda: collector.span("tocsin-notify", "deliver webhook"))

    assert raised is not None
    assert told is not None
    assert (TRACE, SPAN) == (raised.trace_id.hex(), raised.parent_span_id.hex())
    assert [(raised.trace_id, raised.span_id)] == [
        (link.trace_id, link.span_id) for link in told.links
    ]
    assert {"s3cr3t"} == set(collector.headers)


@pytest.mark.postgres
async def test_what_is_not_sent_yet_is_sent_at_the_end(
    alert_url: str, notify_url: str, monkeypatch: pytest.MonkeyPatch, collector: Collector
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "600000")
    async with running_site(alert_url, notify_url, tracing=True) as site:
        await site.alert.alerts.RaiseOrTouch(RAISE)
        await site.receiver.wait_for(1)
        assert [] == collector.spans

    assert collector.span("tocsin-alert", RAISE_SPAN)


def test_what_traces_need_is_locked_as_in_the_tests() -> None:
    def pinned(name: str) -> set[str]:
        lines = (ROOT / "requirements" / name).read_text().splitlines()
        return {line.removesuffix(" \\") for line in lines if line[:1].isalpha()}

    assert pinned("otlp.txt") <= pinned("dev.txt")
    assert any(
        each.startswith("opentelemetry-exporter-otlp-proto-http==") for each in pinned("otlp.txt")
    )
