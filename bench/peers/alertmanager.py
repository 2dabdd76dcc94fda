"""Alertmanager, from Debian's package prometheus-alertmanager: it keeps all in memory."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from bench import h2load
from bench.peers import http
from bench.peers.programs import find, running
from bench.percentiles import p50_and_p99
from bench.receiver import receiving
from tocsin.cli.stack.ports import free_port

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from bench.peers.programs import Program
    from bench.receiver import Arrivals
    from bench.run import Bench

_PATH = "/api/v2/alerts"
_CLIENTS = 32
_BATCH = 100
_RATE = 50
_SMALL, _LARGE = 10_000, 100_000
_BURST = 5_000
_STORM_SECONDS = 240

_CONFIG = """
route:
  {{receiver: hook, group_by: {groups}, group_wait: 0s, group_interval: 5m, repeat_interval: 4h}}
receivers: [{{name: hook{hook}}}]
"""
_HOOK = ", webhook_configs: [{{url: '{url}', send_resolved: false}}]"


async def measure_alertmanager(bench: Bench) -> None:
    """Measure what it takes in, then what it tells."""
    program = find("prometheus-alertmanager", "alertmanager")
    if program is None or not h2load.is_installed():
        needed = "prometheus-alertmanager and nghttp2-client"
        bench.report.run["without Alertmanager"] = f"it needs the packages {needed}"
        return
    await _take_in(bench, program)
    await _tell(bench, program)
    await _storm(bench, program)


async def _take_in(bench: Bench, program: str) -> None:
    """Measure posts and memory when all alerts are one group that nobody is told of."""
    port = free_port()
    async with _running(bench, program, port, "['alertname']", "") as server:
        bench.tell("Alertmanager: memory")
        bench.report.add("alertmanager.memory", server.resident_mebibytes, "MiB")
        before = 0
        for name, total in (("10k", _SMALL), ("100k", _LARGE)):
            wanted = total // bench.scale
            await asyncio.to_thread(http.post_all, port, _PATH, _batches("kept", before, wanted))
            before = wanted
            bench.report.add(f"alertmanager.memory.{name}", server.resident_mebibytes, "MiB")
    async with _running(bench, program, port, "['alertname']", ""):
        url = f"http://127.0.0.1:{port}{_PATH}"
        for name, size in (("post", 1), ("batch", _BATCH)):
            bench.tell(f"Alertmanager: posts of {size}")
            body = [_alert("same", number) for number in range(size)]
            done = await asyncio.to_thread(
                http.load, url, body, clients=_CLIENTS, seconds=bench.seconds
            )
            bench.report.add(f"alertmanager.{name}", done.rate * size, "/s")


async def _tell(bench: Bench, program: str) -> None:
    """Measure how soon a webhook hears, then how many a second it hears."""
    port = free_port()
    async with receiving() as arrivals:
        hook = _HOOK.format(url=arrivals.url)
        async with _running(bench, program, port, "['...']", hook):
            bench.tell(f"Alertmanager: post to webhook, {_RATE}/s")
            await bench.clients.run(
                http.post_steadily, port, _PATH, _steady_body, rate=_RATE, seconds=bench.seconds
            )
            await arrivals.wait_for(_RATE * bench.seconds)
            p50, p99 = p50_and_p99(_lateness(arrivals))
            bench.report.add("alertmanager.webhook.p50", p50, "ms")
            bench.report.add("alertmanager.webhook.p99", p99, "ms")
            bench.tell("Alertmanager: a burst")
            arrivals.clear()
            burst = _BURST // bench.scale
            await asyncio.to_thread(http.post_all, port, _PATH, _batches("burst", 0, burst))
            await arrivals.wait_for(burst)
            seconds = (arrivals.moments[-1] - arrivals.moments[0]) / 1e9
            bench.report.add("alertmanager.burst", burst / seconds, "/s")


async def _storm(bench: Bench, program: str) -> None:
    """Measure what our storm measures: so many alerts, each told by itself to one webhook."""
    port, total = free_port(), _LARGE // (50 if bench.scale > 1 else 1)
    bench.tell(f"Alertmanager: a storm of {total:,} alerts, ungrouped")
    async with receiving() as arrivals:
        hook = _HOOK.format(url=arrivals.url)
        async with _running(bench, program, port, "['...']", hook) as server:
            begin = asyncio.get_running_loop().time()
            await bench.clients.run(post_many, port, total)
            await arrivals.wait_for(total, _STORM_SECONDS)
            lasted = asyncio.get_running_loop().time() - begin
            bench.report.add("alertmanager.storm", lasted, "s")
            bench.report.add("alertmanager.storm.memory", server.peak_mebibytes, "MiB")


def post_many(port: int, total: int) -> None:
    """Post so many alerts in batches, one after the other. For a process of its own."""
    http.post_all(port, _PATH, _batches("storm", 0, total))


def _running(
    bench: Bench, program: str, port: int, groups: str, hook: str
) -> AbstractAsyncContextManager[Program]:
    folder: Path = bench.ground.folder / f"alertmanager-{free_port()}"
    folder.mkdir()
    config = folder / "alertmanager.yml"
    config.write_text(_CONFIG.format(groups=groups, hook=hook))
    command = [
        program,
        f"--config.file={config}",
        f"--storage.path={folder}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
        "--log.level=error",
    ]
    return running(command, port, folder / "alertmanager.log")


def _alert(name: str, number: int, message: str = "unable to open repository") -> dict[str, Any]:
    labels = {"alertname": "backup_failed", "host": name, "group": f"group-{number:07}"}
    return {"labels": labels, "annotations": {"message": message}}


def _batches(name: str, begin: int, end: int) -> list[list[dict[str, Any]]]:
    return [
        [_alert(name, number) for number in range(first, min(first + _BATCH, end))]
        for first in range(begin, end, _BATCH)
    ]


def _steady_body(number: int, due: str) -> list[dict[str, Any]]:
    return [_alert("steady", number, due)]


def _lateness(arrivals: Arrivals) -> list[float]:
    told = (
        (alert["annotations"]["message"], moment)
        for body, moment in zip(arrivals.bodies, arrivals.moments, strict=True)
        for alert in json.loads(body)["alerts"]
    )
    return [(moment - int(due)) / 1e6 for due, moment in told]
