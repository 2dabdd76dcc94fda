"""`tocsin watch` as a process of its own: what it prints, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.command import Command


pytestmark = pytest.mark.postgres

INTERRUPTED = 130


@contextmanager
def watching(tocsin: Command, *words: str) -> Iterator[subprocess.Popen[str]]:
    """Run `tocsin watch`; it is connected when the body begins."""
    watch = subprocess.Popen(
        [sys.executable, "-m", "tocsin.cli", "watch", "--target", tocsin.alert, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with watch:
        assert watch.stderr is not None
        assert watch.stderr.readline() == f"Connected to {tocsin.alert}\n"
        try:
            yield watch
        finally:
            watch.kill()


def next_line(watch: subprocess.Popen[str]) -> str:
    assert watch.stdout is not None
    return watch.stdout.readline()


def next_event(watch: subprocess.Popen[str]) -> dict[str, object]:
    """Return the next event of --json, bookmarks passed over."""
    while True:
        told = json.loads(next_line(watch))
        if "event" in told:
            event: dict[str, object] = told["event"]
            return event


def test_every_change_is_a_line(tocsin: Command) -> None:
    with watching(tocsin, "--host", "a") as watch:
        tocsin.done("raise", "a", "backup_failed", "-k", "photos", "-s", "critical", "-m", "gone")
        tocsin.done("raise", "other", "backup_failed")
        tocsin.done("clear", "a", "backup_failed", "-k", "photos")
        raised, resolved = next_line(watch).split(), next_line(watch).split()
    assert ["raised", "CRITICAL"] == raised[2:4]
    assert ["a", "backup_failed", "photos:", "gone"] == raised[5:]
    assert ["resolved", "CRITICAL"] == resolved[2:4]


def test_what_was_missed_follows_after_a_position(tocsin: Command) -> None:
    with watching(tocsin, "--json") as watch:
        tocsin.done("raise", "b", "backup_failed")
        position = next_event(watch)["position"]
    assert isinstance(position, dict)
    tocsin.done("clear", "b", "backup_failed")
    after = f"{position['epoch']}:{position['revision']}"
    with watching(tocsin, "--json", "--after", after) as watch:
        event = next_event(watch)
    assert event["type"] == "ALERT_EVENT_TYPE_RESOLVED"
    assert event["position"] == {**position, "revision": str(int(position["revision"]) + 1)}


def test_what_another_log_made_void_is_found_by_comparison(tocsin: Command) -> None:
    tocsin.done("raise", "e", "check_failed", "-m", "pack files are damaged")
    after = "0190b5a8-7d5c-7c3e-8a53-1f2e3d4c5b6a:3"
    with watching(tocsin, "--after", after, "--host", "e") as watch:
        line = next_line(watch)
    assert line.endswith(" e check_failed: pack files are damaged (found by comparison)\n")


def test_from_oldest_begins_with_the_first_event_kept(tocsin: Command) -> None:
    tocsin.done("raise", "c", "backup_failed")
    with watching(tocsin, "--json", "--from-oldest") as watch:
        event = next_event(watch)
    assert {"revision": "1"}.items() <= dict(event["position"]).items()  # type: ignore[call-overload]  # JSON


def test_a_snapshot_comes_first_and_then_the_changes(tocsin: Command) -> None:
    tocsin.done("raise", "d", "backup_failed")
    with watching(tocsin, "--json", "--snapshot", "--host", "d") as watch:
        snapshot = json.loads(next_line(watch))
        bookmark = json.loads(next_line(watch))
        tocsin.done("clear", "d", "backup_failed")
        event = next_event(watch)
    assert snapshot["snapshot_alert"]["host_id"] == "d"
    assert ["position", "caught_up"] == list(bookmark)
    assert event["type"] == "ALERT_EVENT_TYPE_RESOLVED"


def test_ctrl_c_ends_it_quietly_with_130(tocsin: Command) -> None:
    with watching(tocsin) as watch:
        watch.send_signal(signal.SIGINT)
        out, err = watch.communicate(timeout=30)
    assert (INTERRUPTED, "", "") == (watch.returncode, out, err)


def test_a_reader_that_goes_away_ends_it_quietly(tocsin: Command) -> None:
    with watching(tocsin) as watch:
        assert watch.stdout is not None
        assert watch.stderr is not None
        watch.stdout.close()
        tocsin.done("raise", "e", "backup_failed")
        assert watch.stderr.read() == ""
        assert watch.wait(10) == os.EX_OK
