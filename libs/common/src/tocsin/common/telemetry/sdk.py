"""Where traces go: the SDK of OpenTelemetry, set up by its own variables.

OTEL_TRACES_EXPORTER names the exporter by its entry point: otlp_proto_http unless it is set, or
console, otlp_proto_grpc or whatever else is installed; `none` makes spans that go nowhere. The SDK
itself reads OTEL_TRACES_SAMPLER, OTEL_RESOURCE_ATTRIBUTES and what each exporter has.
"""

from __future__ import annotations

import os
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Final

from tocsin.common.config import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.sdk.trace import TracerProvider

_VARIABLE: Final = "OTEL_TRACES_EXPORTER"
_DEFAULT: Final = "otlp_proto_http"
_ALIASES: Final = {"": _DEFAULT, "otlp": _DEFAULT}
_GROUP: Final = "opentelemetry_traces_exporter"


def sdk_provider(
    service: str, variable: str, environment: Mapping[str, str] = os.environ
) -> TracerProvider:
    """Return what makes and sends the spans of a service. Shut it down at the end: it sends then.

    Raises ConfigError, naming the `variable` that asked for it, when something is not installed.
    """
    try:
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise _lacking(variable, "the SDK of OpenTelemetry") from None
    name = environment.get("OTEL_SERVICE_NAME") or service
    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: name}))
    exporter = environment.get(_VARIABLE, "").strip()
    if exporter != "none":
        made = _exporter(_ALIASES.get(exporter, exporter), variable)
        provider.add_span_processor(BatchSpanProcessor(made))
    return provider


def _exporter(name: str, variable: str) -> Any:
    for found in entry_points(group=_GROUP, name=name):
        return found.load()()
    raise _lacking(variable, f"the exporter {name}")


def _lacking(variable: str, what: str) -> ConfigError:
    return ConfigError(
        f"{variable}: is set, and {what} is not installed; install what requirements/otlp.txt of "
        f"Tocsin names, or name another exporter in {_VARIABLE}"
    )
