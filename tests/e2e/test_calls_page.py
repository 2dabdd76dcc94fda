"""docs/calls.md: every line is typed as it stands, and is answered as the page shows."""

from __future__ import annotations

import subprocess
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from support.answers import Likeness, first_time
from support.command import Command, running_stack
from support.grpcurl import DEADLINE_EXCEEDED, documents, parse
from support.pages import Typed, blocks
from support.repository import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.postgres import PostgresServer
    from tocsin.cli.stack.stack import StackSettings

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

PAGE = (ROOT / "docs" / "calls.md").read_text()
LINES = [each for block in blocks(PAGE) for each in block.typed if each.answer]
_READS = ("Get", "List", "Explain", "Check")
_WITHIN_SECONDS = 30.0
_POLL_SECONDS = 0.2


@pytest.fixture
def stack(postgres_server: PostgresServer, tmp_path: Path) -> Iterator[StackSettings]:
    """What `make run` gives on an empty folder: both services, and a channel to the console."""
    with running_stack(tmp_path / "data", postgres_server.cluster) as settings:
        tocsin = Command(settings.alert_target, settings.notify_target)
        tocsin.done("channel", "create", "console", "console")
        yield settings


def test_every_line_is_answered_as_the_page_shows(stack: StackSettings) -> None:
    likeness = Likeness(later=datetime.now(UTC) - first_time(PAGE))
    addresses = {"127.0.0.1:7070": stack.alert_target, "127.0.0.1:7071": stack.notify_target}

    for typed in LINES:
        line = likeness.here(typed.line)
        for of_page, here in addresses.items():
            line = line.replace(of_page, here)
        assert [] == differences(typed, line, likeness), typed.line


def differences(typed: Typed, line: str, likeness: Likeness) -> list[str]:
    """Run a line and compare. What only reads is asked again: deliveries take their time."""
    shown = documents(typed.answer)
    patient = parse(line).method.rpartition("/")[2].startswith(_READS)
    deadline = time.monotonic() + (_WITHIN_SECONDS if patient else 0)
    while True:
        ids = dict(likeness.ids)
        wrong = likeness.differences(shown, answered(line))
        if not wrong or time.monotonic() > deadline:
            return wrong
        likeness.ids = ids  # what was learned from half an answer may be wrong
        time.sleep(_POLL_SECONDS)  # another program is asked, which gives no signal


def answered(line: str) -> list[Any]:
    """Run a line of grpcurl. Only what was to end by its time may end otherwise than with OK."""
    call = parse(line)
    ended = subprocess.run(
        call.command(), capture_output=True, text=True, check=False, timeout=_WITHIN_SECONDS
    )
    allowed = {0, DEADLINE_EXCEEDED} if "-max-time" in call.options else {0}
    assert call.status(ended.returncode) in allowed, f"{line}\n{ended.stderr}"
    return documents(ended.stdout)
