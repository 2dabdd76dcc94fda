"""The rows of the table: what is shown, beside which limit, and the floor that it must reach."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.figures import Report, Unit

MEASUREMENT_NOISE = 0.05
"""What two runs of the same load differ by: "as fast as" means within it."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line. `figure` names what is shown, `limits` the figures whose sum it is divided by.

    `at_least` or `at_most` is the floor: for the ratio where there are limits, else, or when
    `by_itself`, for the figure itself.
    """

    what: str
    figure: str
    limits: tuple[str, ...] = ()
    at_least: float | None = None
    at_most: float | None = None
    by_itself: bool = False


@dataclass(frozen=True, slots=True)
class Judged:
    """A row with what was measured. `ratio` and `limit` are None for a row without limits.

    `reached` is None for a row without a floor.
    """

    row: Row
    value: float
    unit: Unit
    note: str
    limit: float | None
    ratio: float | None
    reached: bool | None


_ALERT = (
    Row("RaiseOrTouch (touch), 64 in flight", "touch", ("echo",), at_least=0.65),
    Row("… p99", "touch.p99", at_most=25),
    Row("RaiseOrTouch (raise), 64 in flight", "raise", ("echo.each",)),
    Row("… p99", "raise.p99"),
    Row(
        "AutoResolve with nothing open, 64 in flight",
        "clear",
        ("touch",),
        at_least=1 - MEASUREMENT_NOISE,
    ),
    Row("… p99", "clear.p99"),
    Row("two bare echoes on one port, 8 connections", "echo.two"),
    Row(
        "RaiseOrTouch (touch), two workers, 8 connections", "touch.two", ("echo.two",),
        at_least=0.65,
    ),
    Row("… p99", "touch.two.p99"),
    Row("BatchRaiseOrTouch: touches", "batch.touch", ("postgres.touch_100",), at_least=0.4),
    Row("… at most, by what one costs", "batch.touch.most", ("postgres.touch_100",)),
    Row("BatchRaiseOrTouch: raises", "batch.raise", ("postgres.raise_100",), at_least=0.4),
    Row("… at most, by what one costs", "batch.raise.most", ("postgres.raise_100",)),
    Row("BatchRaiseOrTouch: touches, two workers", "batch.touch.two", ("postgres.touch_100",)),
    Row("BatchRaiseOrTouch: raises, two workers", "batch.raise.two", ("postgres.raise_100",)),
    Row("one in flight: bare echo, p50", "idle.echo"),
    Row("one in flight: prepared upsert, p50", "idle.postgres"),
    Row(
        "one in flight: RaiseOrTouch, p50", "idle.touch", ("idle.echo", "idle.postgres"),
        at_most=2.5,
    ),
    Row("raise to watcher at 500/s: through a bare server, p50", "watcher.bare.p50"),
    Row("one in flight: prepared raise with event, p50", "idle.postgres.raise"),
    Row(
        "raise to watcher at 500/s, p50", "watcher.p50",
        ("watcher.bare.p50", "idle.postgres.raise"), at_most=4, by_itself=True,
    ),
    Row("… p99", "watcher.p99", at_most=15),
    Row("… until the caller has its answer, p50", "watcher.answer.p50"),
    Row("10 watchers catching up, events in all", "catch_up", at_least=100_000),
    Row("10 watchers live, events in all: as fast as one service raises", "live"),
    Row("10 watchers live, events in all: appended by SQL", "live.fed", at_least=200_000),
    Row("1,000 idle subscribers: memory", "idle_subscribers.memory", at_most=64),
    Row("1,000 idle subscribers: share of a core", "idle_subscribers.cpu", at_most=2),
)  # fmt: skip


def _overload_rows(of: str, calls: str) -> tuple[Row, ...]:
    """Return what becomes of twice the best rate, in an open loop."""
    what = f"twice as many {calls} as are possible"
    return (
        Row(f"{calls}, before and after a flood", f"{of}.best"),
        Row(f"{what}: written", f"{of}.goodput", (f"{of}.best",), at_least=0.9),
        Row("… p99 of all answers", f"{of}.p99", at_most=2_000),
        Row("… the longest wait for an answer", f"{of}.longest", at_most=5_000),
        Row("… calls that failed without being told when to return", f"{of}.bare", at_most=0),
        Row("… memory of tocsin-alert, at most", f"{of}.memory", at_most=200),
    )


_OVERLOAD = (
    *_overload_rows("overload", "RaiseOrTouch"),
    *_overload_rows("overload.batch", "touches in batches of 100"),
)

_NOTIFY = (
    Row("one in flight: bare HTTP POST, p50", "post.bare"),
    Row(
        "raise to webhook received at 50/s, p50", "webhook.p50",
        ("idle.echo", "idle.postgres.raise", "post.bare"), at_most=12, by_itself=True,
    ),
    Row("… p99", "webhook.p99", at_most=40),
    Row("deliveries to one fast webhook, attempts recorded", "deliveries", at_least=2_000),
)  # fmt: skip

_PROCESSES = (
    Row("start of tocsin-alert to serving", "start.alert", at_most=1.5),
    Row("start of tocsin-notify to serving", "start.notify", at_most=1.5),
    Row("resident memory of tocsin-alert, idle", "memory.alert", at_most=100),
    Row("… after all loads", "memory.alert.loaded"),
    Row("… grown by 1,000,000 calls", "endurance.alert", at_most=10),
    Row("resident memory of tocsin-notify, idle", "memory.notify", at_most=100),
    Row("… after all loads", "memory.notify.loaded"),
    Row("… grown by 200,000 calls", "endurance.notify", at_most=10),
)

_STORM = (
    Row("a storm of 100,000 alerts: the last is told after", "storm", at_most=90),
    Row("… memory of tocsin-alert, at most", "storm.memory.alert", at_most=200),
    Row("… memory of tocsin-notify, at most", "storm.memory.notify", at_most=200),
)

MORE_BY_SIZE = 1.3
"""How much more a call may cost in a large database than in an empty one."""


def _size_rows(label: str, so_many: str) -> tuple[Row, ...]:
    """Return what is compared with the empty database: the median of each call, two rates."""
    calls = (
        ("raise", "raise"),
        ("touch", "touch"),
        ("clear", "clear"),
        ("list", "a page of 50"),
        ("resume", "resume over 100 events"),
    )
    return (
        *(
            Row(
                f"{so_many}: {what}, p50 against empty",
                f"size.{name}.{label}",
                (f"size.{name}.empty",),
                at_most=MORE_BY_SIZE,
            )
            for name, what in calls
        ),
        *(
            Row(
                f"{so_many}: {what} in batches of 100 against empty",
                f"size.batch.{name}.{label}",
                (f"size.batch.{name}.empty",),
                at_least=1 / MORE_BY_SIZE,
            )
            for name, what in (("touch", "touches"), ("raise", "raises"))
        ),
    )


ROWS = (
    Row("PostgreSQL alone: touches, a statement each, 32 clients", "postgres.touch"),
    Row("PostgreSQL alone: raises with event, a transaction each, 32 clients", "postgres.raise"),
    Row("PostgreSQL alone: touches, 100 keys a statement", "postgres.touch_100"),
    Row("PostgreSQL alone: raises with event, 100 keys a statement", "postgres.raise_100"),
    Row("a bare batch server in Python: touches", "bare.batch.touch", ("postgres.touch_100",)),
    Row("a bare batch server in Python: raises", "bare.batch.raise", ("postgres.raise_100",)),
    Row("bare grpc.aio echo, 64 in flight", "echo"),
    Row("… p99", "echo.p99"),
    Row("… with a body of its own for each call", "echo.each"),
    Row("… under uvloop", "echo.uvloop"),
    *_ALERT,
    *_OVERLOAD,
    *_NOTIFY,
    *_PROCESSES,
    *_STORM,
    *_size_rows("1k", "1,000 open, 5,000 resolved"),
    *_size_rows("1M", "1,000,000 open, 5,000,000 resolved"),
)


def judge(report: Report, rows: tuple[Row, ...] = ROWS) -> list[Judged]:
    """Return the rows whose figure was measured. One whose limit was not has no ratio."""
    return [_judged(report, row) for row in rows if row.figure in report.figures]


def _judged(report: Report, row: Row) -> Judged:
    figure = report.figures[row.figure]
    limit = _limit(report, row)
    ratio = figure.value / limit if limit else None
    compared = figure.value if row.by_itself or not row.limits else ratio
    return Judged(
        row, figure.value, figure.unit, figure.note, limit, ratio, _reached(row, compared)
    )


def _limit(report: Report, row: Row) -> float | None:
    if not row.limits or any(name not in report.figures for name in row.limits):
        return None
    return math.fsum(report.figures[name].value for name in row.limits)


def _reached(row: Row, compared: float | None) -> bool | None:
    if compared is None:
        return None
    if row.at_least is not None:
        return compared >= row.at_least
    return None if row.at_most is None else compared <= row.at_most
