"""Every line of our commands in the documents is one that the command understands."""

from __future__ import annotations

import re
import shlex
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
import typer

from support.pages import blocks
from support.repository import ROOT
from tocsin.alert.cli import cli as of_alert
from tocsin.cli.main import build
from tocsin.notify.cli import cli as of_notify

if TYPE_CHECKING:
    from pathlib import Path

# The recipes have a test of their own; what changed in the past may be gone.
_PAGES = sorted({ROOT / "README.md", *ROOT.glob("docs/*.md")} - {ROOT / "docs" / "recipes.md"})
_OURS = r"(?:\.venv/bin/)?tocsin(?:-alert|-notify)? "
_INLINE = re.compile(rf"`({_OURS}[^`]+)`")
_AFTER = re.compile(r" [|&>] .*$| \|\| .*$")
_ASSIGNED = re.compile(r"^(?:[A-Z_]+=\S+ )+")
_HELP = {"--help", "-h"}
LEFT_OUT = "…"


def lines_of(page: str) -> set[str]:
    """Return what is typed on a page, in blocks and in running text; a line with `…` is none."""
    shell = [typed.line for block in blocks(page, "") for typed in block.typed]
    outside = re.sub(r"^```.*?^```$", "", page, flags=re.MULTILINE | re.DOTALL)
    inline = [" ".join(each.split()) for each in _INLINE.findall(outside)]
    typed = {_AFTER.sub("", _ASSIGNED.sub("", line)) for line in [*shell, *inline]}
    ours = {line for line in typed if re.match(_OURS, line)}
    return {line for line in ours if LEFT_OUT not in line}


@cache
def command_of(program: str) -> Any:
    if program == "tocsin":
        return typer.main.get_command(build())
    return typer.main.get_command({"tocsin-alert": of_alert, "tocsin-notify": of_notify}[program])


def understood(line: str) -> None:
    """Read a line as the command does. Raises typer's error for what it does not know.

    A command that is only named, or asked for its help, has to be there.
    """
    program, *words = shlex.split(line)
    name = program.rpartition("/")[2]
    command = command_of(name)
    context = command.make_context(name, words, resilient_parsing=True)
    while hasattr(command, "resolve_command") and words and words[0] not in _HELP:
        name, command, words = command.resolve_command(context, words)
    if words and not _HELP & {*words}:
        command.make_context(name, words, parent=context)


def test_there_are_lines_on_the_pages_for_operators() -> None:
    assert len(lines_of((ROOT / "docs" / "operators.md").read_text())) > 50
    assert len(lines_of((ROOT / "docs" / "command.md").read_text())) > 30


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: page.name)
def test_every_line_is_one_that_the_command_understands(
    page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOCSIN_HOST", "web-1")
    wrong = {}
    for line in sorted(lines_of(page.read_text())):
        try:
            understood(line)
        except Exception as error:  # noqa: BLE001 - whatever it is, all lines are told at once
            wrong[line] = repr(error)
    assert {} == wrong
