"""The parts of a run, one after the other, each on ground of its own."""

from __future__ import annotations

import asyncio
import resource
import sys
import time
import traceback
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bench.alert_loads import measure_alert
from bench.endurance import measure_endurance
from bench.figures import Report, write_report
from bench.ground import Ground
from bench.limits import measure_limits
from bench.load import Clients
from bench.machine import describe_machine, load_average
from bench.notify_loads import measure_notify
from bench.overload import measure_overload
from bench.peers.alerta import measure_alerta
from bench.peers.alertmanager import measure_alertmanager
from bench.peers.etcd import measure_etcd
from bench.run import Bench
from bench.size_loads import measure_size
from bench.storm import measure_storm
from bench.subscribers import measure_subscribers
from bench.workers import measure_workers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from pathlib import Path

    from bench.run import Generator

    Part = Callable[[Bench], Awaitable[None]]

ORDINARY: Mapping[str, Part] = {
    "limits": measure_limits,
    "alert": measure_alert,
    "workers": measure_workers,
    "subscribers": measure_subscribers,
    "overload": measure_overload,
    "notify": measure_notify,
}
LONG: Mapping[str, Part] = {
    "storm": measure_storm,
    "endurance": measure_endurance,
    "size": measure_size,
}
PEERS: Mapping[str, Part] = {
    "alertmanager": measure_alertmanager,
    "etcd": measure_etcd,
    "alerta": measure_alerta,
}
BESIDE_PEERS = ("alert", "subscribers", "notify")
"""What of Tocsin itself is measured in a run of the peers, unless its figures are given."""

FAILED = "failed"
_OTHERS = "what this run did not measure is of"
_LONGEST_REASON = 120
_CLIENTS = 3


@dataclass(frozen=True, slots=True)
class How:
    """How a run is made: see `Bench` and the options of the command."""

    seconds: int
    scale: int
    generator: Generator
    folder: Path | None
    json: Path | None
    note: str


def run(how: How, names: Sequence[str], beside: Report | None) -> Report:
    """Measure parts of Tocsin. Figures of another run stand where this one has none."""
    report = _run(how, {name: {**ORDINARY, **LONG}[name] for name in names}, Report())
    if beside is not None:
        report.figures = {**beside.figures, **report.figures}
        report.run[_OTHERS] = _when(beside)
        _keep(report, how.json)
    return report


def run_peers(how: How, names: Sequence[str], beside: Report | None) -> Report:
    """Measure peers; Tocsin's own figures are those of another run, or are measured first."""
    peers = {name: PEERS[name] for name in names}
    if beside is None:
        return _run(how, {**{name: ORDINARY[name] for name in BESIDE_PEERS}, **peers}, Report())
    report = Report(figures=dict(beside.figures))
    report.run["Tocsin's own figures of"] = _when(beside)
    return _run(how, peers, report)


def _when(run: Report) -> str:
    return run.run.get("begun", "another run")


def _run(how: How, parts: Mapping[str, Part], report: Report) -> Report:
    begin = time.monotonic()
    _allow_many_files()
    if how.note:
        report.run["note"] = how.note
    report.run |= {
        "begun": datetime.now(UTC).isoformat(timespec="seconds"),
        "each load": f"{how.seconds} s",
        "unary loads by": how.generator,
        "load average before": load_average(),
    }
    with Ground(how.folder) as ground:
        report.machine.update(describe_machine(ground.folder))
        clients = Clients(_CLIENTS)
        bench = Bench(ground, clients, report, how.generator, how.seconds, how.scale)
        try:
            asyncio.run(_measure(bench, parts, how.json))
        finally:
            clients.close()
    report.run["took"] = f"{time.monotonic() - begin:.0f} s"
    _keep(report, how.json)
    return report


async def _measure(bench: Bench, parts: Mapping[str, Part], json: Path | None) -> None:
    """Measure one part after the other. One that fails takes no other with it."""
    bench.report.machine["postgresql"] = await bench.ground.describe_postgres()
    for name, measure in parts.items():
        begin = time.monotonic()
        try:
            await measure(bench)
        except Exception as error:  # noqa: BLE001 - what was measured until here is worth minutes
            traceback.print_exc()
            why = [type(error).__name__, *str(error).strip().splitlines()][-1]
            told = f"{name} ({why[:_LONGEST_REASON]})"
            failed = bench.report.run.get(FAILED)
            bench.report.run[FAILED] = f"{failed}; {told}" if failed else told
        await bench.ground.clear()
        print(f"{name}: {time.monotonic() - begin:.0f} s", file=sys.stderr, flush=True)
        _keep(bench.report, json)


def _keep(report: Report, path: Path | None) -> None:
    if path is not None:
        write_report(report, path)


def _allow_many_files() -> None:
    """Let this process, and those that it starts, have as many connections as the system grants."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
