from __future__ import annotations

import asyncio
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from support.waiting import eventually
from tocsin.common.config import ConfigError
from tocsin.common.lifecycle import BackgroundLoop
from tocsin.common.rpc.health import Readiness
from tocsin.common.telemetry.calls import CallMeasures
from tocsin.common.telemetry.exposition import exposition
from tocsin.common.telemetry.loops import LoopMeasures
from tocsin.common.telemetry.measures import SECONDS, Counts, Family, Histogram
from tocsin.common.telemetry.sdk import sdk_provider
from tocsin.common.telemetry.telemetry import Telemetry

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tocsin.common.telemetry.measures import Reading

WAITING = Family("tocsin_waiting", "gauge", "What waits.", ("channel",))
OFF = SimpleNamespace(metrics_listen=None, tracing=False)


def shown(readings: Iterable[Reading]) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """Return the samples of a page by name and labels, without those of the process."""
    text = exposition(list(readings))[0].decode()
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return found


@given(st.lists(st.floats(0, 20)))
def test_a_bucket_holds_all_that_is_at_most_its_bound(values: list[float]) -> None:
    histogram = Histogram(SECONDS)
    for value in values:
        histogram.observe(value)

    assert {bound: sum(value <= bound for value in values) for bound in SECONDS} == {
        bound: count for bound, count in histogram.buckets() if bound in SECONDS
    }
    assert len(values) == histogram.count
    assert sum(values) == pytest.approx(histogram.total)


def test_a_histogram_is_shown_with_its_sum_and_count() -> None:
    histogram = Histogram((0.1, 1.0))
    histogram.observe(0.1)
    histogram.observe(5)
    family = Family("tocsin_took_seconds", "histogram", "How long it took.")
    page = shown([family.of(histogram)])

    assert {(("le", "0.1"),): 1, (("le", "1"),): 1, (("le", "+Inf"),): 2} == page[
        "tocsin_took_seconds_bucket"
    ]
    assert {(): 2} == page["tocsin_took_seconds_count"]
    assert {(): 5.1} == page["tocsin_took_seconds_sum"]


def test_whatever_a_channel_is_called_the_page_can_be_read() -> None:
    name = 'on "call"\\\nC:\\x {y="z"}'

    assert {(("channel", name),): 3} == shown([WAITING.of(3, name)])["tocsin_waiting"]


def test_counts_are_kept_by_their_labels() -> None:
    counts = Counts()
    counts["GetAlert", "OK"] += 2
    counts["GetAlert", "NOT_FOUND"] += 1
    family = Family("tocsin_calls_total", "counter", "Calls.", ("method", "code"))
    page = shown(counts.readings(family))

    assert {2, 1} == set(page["tocsin_calls_total"].values())


def test_calls_are_shown_by_service_and_method() -> None:
    calls = CallMeasures("tocsin_alert")
    calls.of("/tocsin.api.alert.v1.AlertService/GetAlert")("OK", 0.02)
    page = shown(calls.readings())

    assert [(("code", "OK"), ("method", "AlertService/GetAlert"))] == list(
        page["tocsin_alert_rpc_calls_total"]
    )


async def test_a_loop_counts_its_steps_and_those_that_failed() -> None:
    async def step() -> timedelta | None:
        if loop.steps == 2:
            raise RuntimeError("the second one fails")
        return timedelta() if loop.steps < 3 else None

    loop = BackgroundLoop("channel failures", step, chance=lambda: 0.0)
    await loop.start()
    await eventually(lambda: loop.steps == 3)
    await loop.stop()
    page = shown(LoopMeasures("tocsin", [loop, "no loop"]).readings())

    assert {(("loop", "channel-failures"),): 3} == page["tocsin_loop_steps_total"]
    assert {(("loop", "channel-failures"),): 1} == page["tocsin_loop_failures_total"]
    assert {(("loop", "channel-failures"),): 0} == page["tocsin_loop_step_age_seconds"]
    assert {(("loop", "channel-failures"),): loop.last_success} == page[
        "tocsin_loop_success_timestamp_seconds"
    ]


class HasLoop:
    """A part that is more than its loop."""

    def __init__(self, loop: BackgroundLoop) -> None:
        self.loop = loop


async def test_a_step_that_does_not_end_grows_older_and_is_no_success() -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def step() -> None:
        begun.set()
        await go_on.wait()

    loop = BackgroundLoop("dispatcher", step)
    measures = LoopMeasures("tocsin", [HasLoop(loop)])
    assert "tocsin_loop_success_timestamp_seconds" not in shown(measures.readings())
    await loop.start()
    await begun.wait()
    began = loop.last_success
    assert 0 < next(iter(shown(measures.readings())["tocsin_loop_step_age_seconds"].values()))

    go_on.set()
    await eventually(lambda: not loop.step_seconds)
    await loop.stop()
    assert began is not None
    assert loop.last_success is not None
    assert began < loop.last_success


class Broken:
    """Cannot be read."""

    families = (WAITING,)

    async def readings(self) -> list[Reading]:
        raise RuntimeError("the database is away")


class Whole:
    """Can be read."""

    families = (WAITING,)

    async def readings(self) -> list[Reading]:
        await asyncio.sleep(0)
        return [WAITING.of(1, "pager")]


async def test_what_cannot_be_read_is_left_out_and_counted() -> None:
    telemetry = Telemetry("tocsin-alert", OFF)
    telemetry.add(Broken(), Whole())
    await telemetry.readings()
    page = shown(await telemetry.readings())

    assert {(("channel", "pager"),): 1} == page["tocsin_waiting"]
    failures = page["tocsin_alert_scrape_failures_total"]
    assert 2 == failures[(("source", "Broken"),)]
    assert 0 == failures[(("source", "Whole"),)]


async def test_conditions_are_shown_once_there_is_a_server() -> None:
    telemetry = Telemetry("tocsin-alert", OFF)
    assert "tocsin_alert_condition" not in shown(await telemetry.readings())

    telemetry.readiness = Readiness({"service": ("database", "ledger")})
    telemetry.readiness.set("ledger", holds=True)
    assert {(("condition", "database"),): 0, (("condition", "ledger"),): 1} == shown(
        await telemetry.readings()
    )["tocsin_alert_condition"]


def test_without_traces_nothing_stands_around_a_call() -> None:
    telemetry = Telemetry("tocsin-alert", OFF)

    assert telemetry.tracer is None
    assert [] == telemetry.around


@pytest.mark.parametrize("exporter", ["none", "console"])
def test_traces_go_where_the_environment_says(exporter: str) -> None:
    environment = {"OTEL_TRACES_EXPORTER": exporter, "OTEL_SERVICE_NAME": "bell"}
    provider: Any = sdk_provider("tocsin-alert", "TOCSIN_ALERT_TRACING", environment)
    provider.shutdown()

    assert "bell" == provider.resource.attributes["service.name"]


def test_an_exporter_that_is_not_installed_is_told_in_one_line() -> None:
    environment = {"OTEL_TRACES_EXPORTER": "carrier_pigeon"}
    with pytest.raises(ConfigError, match=r"TOCSIN_ALERT_TRACING: .* carrier_pigeon is not inst"):
        sdk_provider("tocsin-alert", "TOCSIN_ALERT_TRACING", environment)
