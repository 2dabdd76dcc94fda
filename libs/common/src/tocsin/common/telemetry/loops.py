"""What runs beside the calls: background loops, and the pools of connections to the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.common.lifecycle import BackgroundLoop
from tocsin.common.telemetry.measures import Family

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tocsin.common.postgres.engine import Database
    from tocsin.common.telemetry.measures import Reading


class LoopMeasures:
    """Reads background loops, and the `loop` of parts that have one; others are passed over."""

    def __init__(self, prefix: str, parts: Iterable[object]) -> None:
        self._steps = Family(
            f"{prefix}_loop_steps_total",
            "counter",
            "Steps that each background loop has taken; a sweep is one.",
            ("loop",),
        )
        self._failures = Family(
            f"{prefix}_loop_failures_total",
            "counter",
            "Steps of it that failed. They are tried again, more and more rarely.",
            ("loop",),
        )
        self._seconds = Family(
            f"{prefix}_loop_busy_seconds_total",
            "counter",
            "How long its steps took, without the rests between them.",
            ("loop",),
        )
        self._success = Family(
            f"{prefix}_loop_success_timestamp_seconds",
            "gauge",
            "When a step of it last ended well, or when it began.",
            ("loop",),
        )
        self._age = Family(
            f"{prefix}_loop_step_age_seconds",
            "gauge",
            "For how long its present step has been under way; 0 while it rests.",
            ("loop",),
        )
        found = (getattr(part, "loop", part) for part in parts)
        self._loops = [loop for loop in found if isinstance(loop, BackgroundLoop)]

    @property
    def families(self) -> tuple[Family, ...]:
        return self._steps, self._failures, self._seconds, self._success, self._age

    def readings(self) -> Iterator[Reading]:
        for loop in self._loops:
            name = loop.name.replace(" ", "-")
            yield self._steps.of(loop.steps, name)
            yield self._failures.of(loop.failures, name)
            yield self._seconds.of(loop.busy_seconds, name)
            yield self._age.of(loop.step_seconds, name)
            if loop.last_success is not None:
                yield self._success.of(loop.last_success, name)


class PoolMeasures:
    """Reads pools of connections, by the names that they are given."""

    def __init__(self, prefix: str, pools: Mapping[str, Database]) -> None:
        self._in_use = Family(
            f"{prefix}_database_connections_in_use",
            "gauge",
            "Connections to PostgreSQL that are lent just now.",
            ("pool",),
        )
        self._most = Family(
            f"{prefix}_database_connections_max",
            "gauge",
            "How many there may be at most.",
            ("pool",),
        )
        self._failures = Family(
            f"{prefix}_database_failures_total",
            "counter",
            "Times that PostgreSQL did not answer, refused, or had no room.",
            ("pool",),
        )
        self._pools = dict(pools)

    @property
    def families(self) -> tuple[Family, ...]:
        return self._in_use, self._most, self._failures

    def readings(self) -> Iterator[Reading]:
        for name, pool in self._pools.items():
            yield self._in_use.of(pool.in_use, name)
            yield self._most.of(pool.pool_size, name)
            yield self._failures.of(pool.failures, name)
