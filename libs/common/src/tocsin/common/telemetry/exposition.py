"""Readings as Prometheus reads them, with what it expects of every process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from tocsin.common.telemetry.measures import Histogram

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tocsin.common.telemetry.measures import Family, Reading

_KINDS = {
    "counter": CounterMetricFamily,
    "gauge": GaugeMetricFamily,
    "histogram": HistogramMetricFamily,
}


class _Readings:
    """A collector of what was read already. Prometheus' registry wants one."""

    def __init__(self, readings: Iterable[Reading]) -> None:
        self._readings = readings

    def collect(self) -> Iterator[Metric]:
        by_family: dict[Family, list[Reading]] = {}
        for reading in self._readings:
            by_family.setdefault(reading.family, []).append(reading)
        for family, readings in by_family.items():
            yield _metric(family, readings)


def exposition(readings: Sequence[Reading], accept: str = "") -> tuple[bytes, str]:
    """Return the page and its content type, in the newest format that `accept` names.

    Each application has a registry of its own, so that several of them fit into one process; what
    is said of the process itself (CPU, memory, descriptors, garbage) they say alike.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Readings(readings))
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


def _metric(family: Family, readings: Iterable[Reading]) -> Metric:
    metric: Any = _KINDS[family.kind](family.name, family.help, labels=family.labels)
    for reading in readings:
        value = reading.value
        if isinstance(value, Histogram):
            buckets = [(f"{bound:g}".replace("inf", "+Inf"), n) for bound, n in value.buckets()]
            metric.add_metric(reading.labels, buckets=buckets, sum_value=value.total)
        else:
            metric.add_metric(reading.labels, value)
    return cast("Metric", metric)
