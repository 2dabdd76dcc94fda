"""The recipes can be typed as they stand."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest
import typer
from google.protobuf.descriptor_pool import Default
from google.protobuf.json_format import Parse
from google.protobuf.message_factory import GetMessageClass

from support.repository import ROOT
from tocsin.api.alert.v1 import backup_service_pb2
from tocsin.cli.main import build

PAGE = (ROOT / "docs" / "recipes.md").read_text()
_COMMAND = re.compile(r"tocsin (?:exec|job|spool|heartbeat) ?[^`\n…]*(?=[`\n])")
_GRPCURL = re.compile(r"^grpcurl -plaintext -d '([^']*)' [\d.:]+ (\S+)$", re.MULTILINE)
# What a shell or a template would put something else for.
_FILLED_IN = re.compile(r'"\$\(.*|"\$[^"]*"|\$\?')
_AROUND = re.compile(r"\{\{ end \}\}|\)$|>/dev/null$")


def commands() -> list[str]:
    typed = {_AROUND.sub("", line) for line in _COMMAND.findall(PAGE)}
    return sorted(line for line in typed if line != "tocsin exec")


def test_there_are_recipes() -> None:
    assert len(commands()) > 10


@pytest.mark.parametrize("line", commands())
def test_every_command_is_one_that_there_is(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOCSIN_HOST", "web-1")
    words = shlex.split(_FILLED_IN.sub("1", line))[1:]
    command: Any = typer.main.get_command(build())
    context = command.make_context("tocsin", words)
    name = "tocsin"
    while hasattr(command, "resolve_command"):
        name, command, words = command.resolve_command(context, words)
    command.make_context(name, words, parent=context)


def test_every_grpcurl_line_calls_what_there_is_with_fields_that_there_are() -> None:
    lines = _GRPCURL.findall(PAGE)
    assert len(lines) == PAGE.count("grpcurl -plaintext")
    assert backup_service_pb2.DESCRIPTOR.package == "tocsin.api.alert.v1"
    for json, method in lines:
        service, _, name = method.partition("/")
        called = Default().FindServiceByName(service).methods_by_name[name]
        Parse(json, GetMessageClass(called.input_type)())
