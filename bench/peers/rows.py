"""Peers beside Tocsin: which of their figures stands beside which of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bench.table import aligned, number

if TYPE_CHECKING:
    from bench.figures import Report

HEADS = ("what", "peer", "Tocsin", "Tocsin ÷ peer", "Tocsin's row")


class PeerRow(NamedTuple):
    """One line: what a peer does, its figure, and the figure of Tocsin that comes next to it."""

    what: str
    figure: str
    beside: str
    told: str


ROWS = (
    PeerRow(
        "Alertmanager: posts of one alert", "alertmanager.post", "touch", "RaiseOrTouch, durable"
    ),
    PeerRow(
        "Alertmanager: alerts in posts of 100",
        "alertmanager.batch",
        "batch.touch",
        "BatchRaiseOrTouch, durable",
    ),
    PeerRow(
        "Alertmanager: post to webhook at 50/s, p50",
        "alertmanager.webhook.p50",
        "webhook.p50",
        "raise to webhook",
    ),
    PeerRow("… p99", "alertmanager.webhook.p99", "webhook.p99", "… p99"),
    PeerRow(
        "Alertmanager: a burst, notifications",
        "alertmanager.burst",
        "deliveries",
        "deliveries, attempts recorded",
    ),
    PeerRow(
        "Alertmanager: memory, idle", "alertmanager.memory", "memory.alert", "tocsin-alert, idle"
    ),
    PeerRow(
        "… with 10,000 alerts",
        "alertmanager.memory.10k",
        "memory.alert.loaded",
        "tocsin-alert after all loads",
    ),
    PeerRow(
        "… with 100,000 alerts",
        "alertmanager.memory.100k",
        "storm.memory.alert",
        "tocsin-alert in the storm",
    ),
    PeerRow(
        "Alertmanager: a storm of 100,000 alerts, ungrouped",
        "alertmanager.storm",
        "storm",
        "the last is told after",
    ),
    PeerRow(
        "… memory at most",
        "alertmanager.storm.memory",
        "storm.memory.notify",
        "tocsin-notify in the storm",
    ),
    PeerRow("etcd: durable puts, 64 in flight", "etcd.put", "touch", "RaiseOrTouch"),
    PeerRow(
        "etcd: put to watch at 500/s, p50", "etcd.watch.p50", "watcher.p50", "raise to watcher"
    ),
    PeerRow("… p99", "etcd.watch.p99", "watcher.p99", "… p99"),
    PeerRow(
        "etcd: 10 watchers, events in all", "etcd.watch.10", "live", "10 watchers, raised by calls"
    ),
    PeerRow(
        "etcd: 100 watchers, events in all",
        "etcd.watch.100",
        "live.fed",
        "10 watchers, appended by SQL",
    ),
    PeerRow(
        "Alerta: the same alert again, 16 connections",
        "alerta.touch",
        "touch",
        "RaiseOrTouch (touch)",
    ),
    PeerRow("… p99", "alerta.touch.p99", "touch.p99", "… p99"),
    PeerRow("Alerta: new alerts, 2 connections", "alerta.raise", "raise", "RaiseOrTouch (raise)"),
    PeerRow(
        "Alerta: memory of its two processes",
        "alerta.memory",
        "memory.alert.loaded",
        "tocsin-alert after all loads",
    ),
)


def has_peers(report: Report) -> bool:
    """Whether a run was one of the peers."""
    return any(row.figure in report.figures for row in ROWS)


def peers_table(report: Report) -> str:
    """Return the table of the peers; where Tocsin was not measured, its cells are empty."""
    return aligned(HEADS, [_cells(report, row) for row in ROWS if row.figure in report.figures])


def _cells(report: Report, row: PeerRow) -> tuple[str, ...]:
    peer, ours = report.figures[row.figure], report.figures.get(row.beside)
    told = number(peer.value, peer.unit) + (f" ({peer.note})" if peer.note else "")
    if ours is None:
        return row.what, told, "", "", row.told
    ratio = f"{ours.value / peer.value:.2f}" if peer.value else ""
    return row.what, told, number(ours.value, ours.unit), ratio, row.told
