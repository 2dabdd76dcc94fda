"""Every RPC: how often it came to which end, and how long it took."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.common.telemetry.measures import Counts, Family, Histogram, Reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class CallMeasures:
    """Observes the calls of one server. `prefix` begins the names, such as `tocsin_alert`."""

    def __init__(self, prefix: str) -> None:
        self.calls = Family(
            f"{prefix}_rpc_calls_total",
            "counter",
            "Calls that have ended, by method and gRPC status code. A caller that went away is "
            "CANCELLED.",
            ("method", "code"),
        )
        self.seconds = Family(
            f"{prefix}_rpc_duration_seconds",
            "histogram",
            "How long calls took, from the first look at the request to the answer. A stream takes "
            "as long as its subscriber stays.",
            ("method",),
        )
        self._counts = Counts()
        self._durations: dict[str, Histogram] = {}

    @property
    def families(self) -> tuple[Family, ...]:
        return self.calls, self.seconds

    def of(self, method: str) -> Callable[[str, float], None]:
        """Return what counts the calls of a method. Methods that do not exist are never asked."""
        short = method.rpartition(".")[2]  # of /tocsin.api.alert.v1.AlertService/GetAlert
        counts, histogram = self._counts, self._durations.setdefault(short, Histogram())
        observe = histogram.observe

        def ended(code: str, seconds: float) -> None:
            counts[short, code] += 1
            observe(seconds)

        return ended

    def readings(self) -> Iterator[Reading]:
        yield from self._counts.readings(self.calls)
        for method, histogram in self._durations.items():
            yield Reading(self.seconds, (method,), histogram)
