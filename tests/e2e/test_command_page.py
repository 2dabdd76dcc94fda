"""docs/command.md: every line is typed as it stands, in its order, and answered as the page shows.

What has to have happened before a line, and is not typed on the page, is in `BEFORE`.
"""

from __future__ import annotations

import shlex
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from support.command import Command, running_stack
from support.pages import Typed, blocks
from support.repository import ROOT
from support.shown_lines import ShownLines
from tocsin.cli.stack.ports import free_port
from tocsin.client import SyncBackupClient, backup_requests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.postgres import PostgresServer

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

PAGE = (ROOT / "docs" / "command.md").read_text()
NOT_TYPED = {
    "tocsin up": "it runs until Ctrl-C: see test_run.py",
    "tocsin watch": "likewise: see test_cli_watch.py",
    "tocsin channel test": "it looks for a name in the network",
}
LINES = [
    typed
    for block in blocks(PAGE, "")
    for typed in block.typed
    if typed.line.startswith("tocsin ")
    and " | " not in typed.line
    and not typed.line.startswith(tuple(NOT_TYPED))
]
PHOTOS, HELD = "3234fdbc", "5f0c2a71"
"""The alerts of which the page speaks most."""
_WITHIN_SECONDS = 30.0
_POLL_SECONDS = 0.1


@pytest.fixture
def tocsin(
    postgres_server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Command]:
    """What `tocsin up` gives on an empty folder, and a host that has a name."""
    monkeypatch.setenv("LOGNAME", "ann")
    with running_stack(tmp_path / "data", postgres_server.cluster) as settings:
        tocsin = Command(settings.alert_target, settings.notify_target)
        tocsin.done("channel", "create", "console", "console")
        tocsin.done("host", "put", "web-1", "--name", "Web server 1")
        yield tocsin


def test_every_line_is_answered_as_the_page_shows(tocsin: Command) -> None:
    told = ShownLines()
    assert len(LINES) > 30

    for typed in LINES:
        for beginning, prepare in BEFORE.items():
            if typed.line.startswith(beginning):
                prepare(tocsin, told)
        assert [] == differences(typed, tocsin, told), typed.line


def differences(typed: Typed, tocsin: Command, told: ShownLines) -> list[str]:
    """Type a line and compare. What only reads is typed again: deliveries take their time."""
    words = shlex.split(told.here(typed.line))[1:]
    shown = typed.answer
    for of_page, here in (("127.0.0.1:7070", tocsin.alert), ("127.0.0.1:7071", tocsin.notify)):
        shown = shown.replace(of_page, here)
    reads = {"list", "show", "why", "health", "protection", "try"} & {*words[:2]}
    deadline = time.monotonic() + (_WITHIN_SECONDS if reads else 0)
    while True:
        ids, ended = dict(told.ids), tocsin(*words)
        wrong = told.differences(shown, ended.out + ended.err) if shown else []
        if not shown and ended.code:
            wrong = [f"ended with {ended.code}: {ended.err}"]
        if not wrong or time.monotonic() > deadline:
            return wrong
        told.ids = ids  # what was learned from half an answer may be wrong
        time.sleep(_POLL_SECONDS)  # services are asked, which give no signal


def runs_were_reported(tocsin: Command, _: ShownLines) -> None:
    reported(tocsin, "web-1", "photos", "succeeded", hours=6, schedule="nightly")


def groups_are_watched(tocsin: Command, _: ShownLines) -> None:
    for group, host in (("database", "web-1"), ("mail", "web-2")):
        tocsin.done("host", "put", host, "--name", f"Web server {host[-1]}")
        tocsin.done(
            *("group", "put", group, "--host", host, "--name", group.capitalize()),
            *("--objective", "26h"),
        )
        tocsin.done(
            *("schedule", "put", f"of {group}", "--host", host, "--job", "backup"),
            *("--source-group", group, "--cron", "30 2 * * *"),
        )
    reported(tocsin, "web-1", "database", "succeeded", hours=72)
    reported(tocsin, "web-1", "database", "failed", hours=6)
    reported(tocsin, "web-2", "mail", "succeeded", hours=6)
    tocsin.done("raise", "web-1", "agent_offline")


def reported(
    tocsin: Command, host: str, group: str, result: str, *, hours: int, schedule: str = ""
) -> None:
    with SyncBackupClient(tocsin.alert) as backups:
        backups.report_job_finished(
            backup_requests.new_job_id(),
            host,
            "backup",
            result,
            source_group_id=group,
            schedule_id=schedule,
            finish_time=datetime.now(UTC) - timedelta(hours=hours),
        )


def only_two_are_open(tocsin: Command, _: ShownLines) -> None:
    for alert in tocsin.json("list")["alerts"]:
        tocsin.done("resolve", alert["alert_id"])
    skipped = ("-m", "photos does not exist, skipping", "--cause", "source_missing")
    for _again in range(2):
        tocsin.done("raise", "web-1", "backup_failed", "-k", "photos", *skipped)
    wrong = ("-m", "Fatal: wrong password or no key found", "--severity", "critical")
    tocsin.done("raise", "web-1", "backup_failed", "-k", "database", *wrong)


def the_two_were_told(tocsin: Command, told: ShownLines) -> None:
    until_told(tocsin, told, "alert.raised")


def both_sides_were_told(tocsin: Command, told: ShownLines) -> None:
    if PHOTOS in told.ids:  # else it is another one
        until_told(tocsin, told, "alert.acknowledged")


def until_told(tocsin: Command, told: ShownLines, event: str) -> None:
    listed = ("delivery", "list", "--alert", told.ids[PHOTOS], "--state", "delivered")
    until(lambda: event in [each["event_type"] for each in tocsin.json(*listed)["deliveries"]])


def one_channel_is_down(tocsin: Command, _: ShownLines) -> None:
    tocsin.done("channel", "disable", "on-call")
    nobody = f"http://127.0.0.1:{free_port()}/"
    tocsin.done("channel", "create", "webhook", "pager", "--url", nobody)
    tocsin.done("raise", "nas", "check_failed")
    until(lambda: "failed x" in tocsin.done("channel", "health"))


def it_is_night(tocsin: Command, told: ShownLines) -> None:
    tocsin.done("channel", "delete", "pager", "--yes")
    tocsin.done("channel", "enable", "on-call")
    hour = datetime.now(UTC).hour
    quiet = f"{(hour - 2) % 24:02}:00-{(hour + 3) % 24:02}:00"
    zone = ("--time-zone", "UTC")
    made = tocsin("route", "create", "nights", "-c", "on-call", "--quiet", quiet, *zone)
    assert 0 == made.code, made.err
    raised = tocsin.json("raise", "db-3", "backup_failed")["alert"]["alert_id"]
    told.ids[HELD] = raised
    until(lambda: held(tocsin, raised))


def the_night_is_over(tocsin: Command, told: ShownLines) -> None:
    tocsin.done("resolve", told.ids[HELD])
    until(lambda: not held(tocsin, told.ids[HELD]))
    tocsin.done("route", "delete", "nights", "--yes")


def held(tocsin: Command, alert: str) -> bool:
    listed = tocsin.json("delivery", "list", "--alert", alert, "--state", "held")
    return bool(listed["deliveries"])


def there_is_a_channel_for_the_rest(tocsin: Command, _: ShownLines) -> None:
    tocsin.done("channel", "create", "console", "mail")


def seven_hosts_fail(tocsin: Command, _: ShownLines) -> None:
    for number in range(1, 8):
        tocsin.done("raise", f"web-{number}", "backup_failed")
    tried = ("silence", "create", "-m", "host=web-*", "--reason", "x", "--for", "2h", "--dry-run")
    until(lambda: "web-7" in tocsin.done(*tried))


def the_window_is_the_one(tocsin: Command, told: ShownLines) -> None:
    [window] = tocsin.json("silence", "list")["silences"]
    told.ids["e4420800"] = window["silence_id"]


def until(holds: Callable[[], bool]) -> None:
    """Ask again and again."""
    deadline = time.monotonic() + _WITHIN_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(_POLL_SECONDS)  # services are asked, which give no signal


BEFORE: dict[str, Callable[[Command, ShownLines], None]] = {
    "tocsin schedule show": runs_were_reported,
    "tocsin protection": groups_are_watched,
    "tocsin list": only_two_are_open,
    "tocsin ack": the_two_were_told,
    "tocsin clear": both_sides_were_told,
    "tocsin channel health": one_channel_is_down,
    "tocsin why": it_is_night,
    "tocsin route create nights": the_night_is_over,
    "tocsin route create rest": there_is_a_channel_for_the_rest,
    "tocsin silence create": seven_hosts_fail,
    "tocsin silence expire": the_window_is_the_one,
}
