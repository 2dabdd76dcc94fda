"""The quick start of the README, word for word, by a stranger who has just cloned the project.

Everything runs in a fresh copy and, where one can be had, in a network of its own: there the ports
that the README names are free, and nothing can be downloaded unnoticed.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from support.descendants import all_gone, descendants_of
from support.fresh_copy import fresh_copy
from support.grpcurl import parse
from support.network import can_be_had, own_network
from support.pages import Block, blocks, section
from support.repository import ROOT, is_a_checkout
from tocsin.cli.exits import CommandError
from tocsin.cli.stack.ports import require_free

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PORTS = (7070, 7071)
QUICK_START = section((ROOT / "README.md").read_text(), "Quick start")
UNTIL_STOPPED = "until Ctrl-C"
READY = "What the console channel is told appears below."
FAILS_HERE = "tocsin exec"
"""Which line fails where there is neither a repository nor a folder, as the README says."""


def _is_free(port: int) -> bool:
    try:
        require_free(port, service="", option="")
    except CommandError:
        return False
    return True


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not is_a_checkout(), reason="needs git to tell what belongs to the project"),
    pytest.mark.skipif(
        not can_be_had() and not all(map(_is_free, PORTS)),
        reason="the ports of the quick start are taken, and a network of its own takes root",
    ),
]


@dataclass(frozen=True, slots=True)
class Stranger:
    """Somebody who types in the folder of the clone."""

    folder: Path
    before: list[str]
    """What is put before every command, so that it runs in the right network."""

    def types(self, line: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.before, "sh", "-c", line],
            cwd=self.folder,
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )

    @contextmanager
    def keeps_running(self, line: str) -> Iterator[list[str]]:
        """Start a line and give what it printed until it was ready. Ends it as Ctrl-C does."""
        begun = subprocess.Popen(
            [*self.before, "sh", "-c", line],
            cwd=self.folder,
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        with begun:
            assert begun.stdout is not None
            printed = []
            for each in begun.stdout:
                printed.append(each)
                if each.startswith(READY):
                    break
            children = descendants_of(begun.pid)
            try:
                yield printed
            finally:
                os.killpg(begun.pid, signal.SIGINT)
                rest, _ = begun.communicate(timeout=100)
                printed.append(rest)
        assert len(children) >= 3
        assert all_gone(children)
        # make ends as whoever is interrupted does.
        assert begun.returncode in {0, -signal.SIGINT}, "".join(printed)

    def _environment(self) -> dict[str, str]:
        """A plain one: what is set here for other services is not for the stranger's."""
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        return {**kept, "HOME": str(self.folder), "TOCSIN_SPOOL": str(self.folder / "spool.db")}


@pytest.fixture
def stranger(open_folder: Path) -> Iterator[Stranger]:
    with ExitStack() as kept:
        before = kept.enter_context(own_network()) if can_be_had() else []
        yield Stranger(fresh_copy(open_folder / "tocsin"), before)


def test_every_line_of_the_quick_start_does_what_it_says(stranger: Stranger) -> None:
    first, *rest = blocks(QUICK_START, "")
    kept = [each.line for each in first.to_run if UNTIL_STOPPED in each.remark]
    printed = {
        each.line: _done(stranger, each.line) for each in first.to_run if each.line not in kept
    }

    (demo,) = (each.text for each in blocks(QUICK_START, "text"))
    assert alike(demo) in alike(printed["make demo"])
    for line in kept:
        with stranger.keeps_running(line) as screen:
            for block in rest:
                _all_done(stranger, block)
            for block in blocks(QUICK_START, "python"):
                (stranger.folder / "quick.py").write_text(block.text)
                _done(stranger, ".venv/bin/python quick.py")
        assert "RAISED: backup_failed on web-1 (photos)" in "".join(screen)


def _all_done(stranger: Stranger, block: Block) -> None:
    for each in block.to_run:
        if each.line.startswith("grpcurl "):
            _done(stranger, shlex.join(parse(each.line).command()))
        elif FAILS_HERE in each.line:
            assert stranger.types(each.line).returncode != 0
            told = _done(stranger, ".venv/bin/tocsin protection")
            assert re.search(r"unprotected +photos +web-1 .* backup_failed", told)
        else:
            _done(stranger, each.line)


def _done(stranger: Stranger, line: str) -> str:
    ended = stranger.types(line)
    assert ended.returncode == 0, f"{line}\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout


def alike(text: str) -> str:
    """Return a text with its ids, ages and widths of columns made alike."""
    text = re.sub(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID", text)
    text = re.sub(r"\b[0-9a-f]{8}\b", "ID", text)
    text = re.sub(r"\b(?:now|\d+s ago)\b", "NOW", text)
    return re.sub(r" +", " ", text)
