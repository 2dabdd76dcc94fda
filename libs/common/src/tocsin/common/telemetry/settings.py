"""What a service shows of itself, and where: these settings are a part of those of each."""

from __future__ import annotations

from pydantic import Field

from tocsin.common.config import ListenAddress, ServiceSettings


class TelemetrySettings(ServiceSettings):
    """Metrics and traces. Both are off unless asked for, and cost nothing then."""

    metrics_listen: ListenAddress | None = Field(
        default=None,
        description="Where to show /metrics (Prometheus), /livez and /readyz by HTTP, host:port, "
        "without encryption or identity: for a network that only operators reach. Unset: nowhere.",
        examples=["127.0.0.1:9070"],
    )
    tracing: bool = Field(
        default=False,
        description="Whether to make OpenTelemetry traces of calls and deliveries. Needs the "
        "packages of requirements/otlp.txt; where they go is said by the variables of "
        "OpenTelemetry itself, such as OTEL_EXPORTER_OTLP_ENDPOINT.",
    )
