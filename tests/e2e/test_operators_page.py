"""docs/operators.md: its tasks are done as the table says, and so are calls of other pages."""

from __future__ import annotations

import re
import shlex
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest

from support.command import Command, running_stack
from support.grpcurl import DEADLINE_EXCEEDED, documents, parse
from support.pages import blocks, section
from support.repository import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from support.postgres import PostgresServer
    from tocsin.cli.stack.stack import StackSettings

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

DOCS = ROOT / "docs"
TASKS = re.findall(
    r"`(tocsin [^`…]+)`", section((DOCS / "operators.md").read_text(), "Tasks").replace("\\|", "|")
)
ENDLESS = {"tocsin watch"}
ALERT, DELIVERY, SILENCE = "3234fdbc", "f37f6a71", "e4420800"
_WITHIN_SECONDS = 30.0
_POLL_SECONDS = 0.1


@pytest.fixture(scope="module")
def stack(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[StackSettings]:
    folder = tmp_path_factory.mktemp("stack")
    with running_stack(folder, postgres_server.cluster) as settings:
        yield settings


@pytest.fixture
def tocsin(stack: StackSettings) -> Command:
    return Command(stack.alert_target, stack.notify_target)


def test_every_task_is_done_by_the_command_that_the_table_gives(tocsin: Command) -> None:
    ids = the_ids_of_the_page(tocsin)

    for task in TASKS:
        if task in ENDLESS:
            continue
        words = [ids.get(word, word) for word in shlex.split(task)[1:]]
        told = tocsin.plain(*words) if "--help" in words else tocsin(*words)
        assert told.code == 0, f"{task}\n{told.out}{told.err}"
        if task.startswith("tocsin silence create"):
            ids[SILENCE] = tocsin.json("silence", "list")["silences"][0]["silence_id"][-8:]

    assert len(TASKS) > 40


def the_ids_of_the_page(tocsin: Command) -> dict[str, str]:
    """Let there be what the page speaks of: an alert, and a channel that was told of it."""
    tocsin.done("channel", "create", "console", "on-call")
    raised = tocsin.json("raise", "web-1", "backup_failed", "-k", "photos")
    # What is resolved is not told again, and the page resolves the first one.
    other = tocsin.json("raise", "web-9", "check_failed")["alert"]["alert_id"]
    delivered: list[Any] = []
    deadline = time.monotonic() + _WITHIN_SECONDS
    while not delivered and time.monotonic() < deadline:
        found = tocsin.json("delivery", "list", "--state", "delivered")["deliveries"]
        delivered = [each["delivery_id"] for each in found if each["alert_id"] == other]
        time.sleep(_POLL_SECONDS)  # another program is asked, which gives no signal
    return {ALERT: raised["alert"]["alert_id"][-8:], DELIVERY: delivered[0][-8:]}


def test_the_calls_that_other_pages_show_are_answered(stack: StackSettings) -> None:
    addresses = {"127.0.0.1:7070": stack.alert_target, "127.0.0.1:7071": stack.notify_target}
    for name in ("operators", "orchestrators", "subscribers", "recipes"):
        shell = blocks((DOCS / f"{name}.md").read_text(), "")
        lines = [typed.line for block in shell for typed in block.typed]
        called = [line for line in lines if line.startswith("grpcurl ")]
        assert called, name
        for line in called:
            assert answered(line, addresses), line


def answered(line: str, addresses: Mapping[str, str]) -> list[Any]:
    """Run a line of grpcurl; a stream that nobody ends, for two seconds."""
    is_stream = line.endswith("/WatchEvents")
    typed = line.replace("-plaintext", "-plaintext -max-time 2") if is_stream else line
    for of_page, here in addresses.items():
        typed = typed.replace(of_page, here)
    call = parse(typed)
    ended = subprocess.run(
        call.command(), capture_output=True, text=True, check=False, timeout=_WITHIN_SECONDS
    )
    status = call.status(ended.returncode)
    assert status == (DEADLINE_EXCEEDED if is_stream else 0), f"{line}\n{ended.stderr}"
    return documents(ended.stdout)
