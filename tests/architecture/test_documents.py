"""The documents say what is so."""

from __future__ import annotations

import re
import runpy
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from google.protobuf.descriptor_pool import Default
from google.protobuf.json_format import Parse
from google.protobuf.message_factory import GetMessageClass

from support.grpcurl import Call, parse
from support.pages import blocks
from support.repository import ROOT
from tocsin.api.alert.v1 import alert_service_pb2, backup_service_pb2
from tocsin.api.auth.v1 import identity_service_pb2
from tocsin.api.notify.v1 import (
    channel_service_pb2,
    delivery_service_pb2,
    route_service_pb2,
    silence_service_pb2,
)

if TYPE_CHECKING:
    from pathlib import Path

_SERVICES = [
    service
    for file in (
        alert_service_pb2,
        backup_service_pb2,
        identity_service_pb2,
        channel_service_pb2,
        delivery_service_pb2,
        route_service_pb2,
        silence_service_pb2,
    )
    for service in file.DESCRIPTOR.services_by_name.values()
]
_PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
_LINK = re.compile(r"\]\((?!https?:)(?P<file>[^)#\s]*)(?:#(?P<place>[^)\s]+))?\)")
_VARIABLE = re.compile(r"\bTOCSIN_[A-Z_]*[A-Z]\b")
_INSTALLS = sorted(
    {
        typed.line
        for page in _PAGES
        for block in blocks(page.read_text(), "")
        for typed in block.typed
        if "pip install " in typed.line
    }
)
_MOST_NOT_RUN = 3
"""How many marks that keep a line from being run by a test there may be."""


def calls_in(page: Path) -> list[Call]:
    """Return what is called by grpcurl in the blocks of a page."""
    shell = blocks(page.read_text(), "")
    lines = [typed.line for block in shell for typed in block.typed]
    return [parse(line) for line in lines if line.startswith("grpcurl ")]


def places_in(page: Path) -> set[str]:
    """Return what a link may lead to within a page: its headings, as they are made into names."""
    outside = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", outside, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_page_of_settings_is_up_to_date() -> None:
    page = runpy.run_path(str(ROOT / "docs" / "configuration.py"))["page"]()
    assert page == (ROOT / "docs" / "configuration.md").read_text(), "run `make docs`"


def test_every_variable_that_a_page_names_is_in_the_page_of_settings() -> None:
    known = set(_VARIABLE.findall((ROOT / "docs" / "configuration.md").read_text()))
    named = {page.name: set(_VARIABLE.findall(page.read_text())) for page in _PAGES}
    assert {} == {page: names - known for page, names in named.items() if names - known}


@pytest.mark.parametrize("path", _PAGES, ids=lambda path: path.name)
def test_every_link_within_the_documents_leads_somewhere(path: Path) -> None:
    wrong = []
    for link in _LINK.finditer(path.read_text()):
        target = path.parent / link["file"] if link["file"] else path
        if not target.exists() or (link["place"] and link["place"] not in places_in(target)):
            wrong.append(link[0])
    assert [] == wrong


def test_every_task_of_make_that_a_page_names_is_there() -> None:
    tasks = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {page.name: set(re.findall(r"`make ([a-z-]+)", page.read_text())) for page in _PAGES}

    assert "make run" in (ROOT / "README.md").read_text()
    assert {} == {page: names - tasks for page, names in named.items() if names - tasks}


def test_every_page_can_be_found_from_the_first_one() -> None:
    first = (ROOT / "README.md").read_text()
    assert [] == [page.name for page in ROOT.glob("docs/*.md") if f"docs/{page.name}" not in first]


@pytest.mark.parametrize(
    "name", ["README.md", *(f"docs/{name}.md" for name in ("calls", "operators", "subscribers"))]
)
def test_every_grpcurl_line_calls_what_there_is_with_fields_that_there_are(name: str) -> None:
    calls = [call for call in calls_in(ROOT / name) if call.method.startswith("tocsin.")]
    assert calls
    for call in calls:
        service, _, method = call.method.partition("/")
        called = Default().FindServiceByName(service).methods_by_name[method]
        Parse(call.request, GetMessageClass(called.input_type)())


@pytest.mark.parametrize("line", _INSTALLS)
def test_every_line_that_installs_names_what_is_in_a_clone(line: str) -> None:
    given = shlex.split(line.partition("pip install ")[2])
    named = [each.partition("[")[0] for each in given if not each.startswith("-")]

    assert named
    assert [] == [each for each in named if "/" not in each or not (ROOT / each).exists()]


@pytest.mark.parametrize("line", [each for each in _INSTALLS if "--require-hashes" in each])
def test_every_line_that_installs_what_is_locked_is_one_that_pip_takes(line: str) -> None:
    """The tests have all of it, so that pip has nothing to get."""
    words = [*line.replace(".venv/bin/python", sys.executable).split(), "--dry-run", "--no-index"]

    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)

    assert 0 == done.returncode, done.stderr


def test_operators_are_told_how_to_call_every_method_by_hand() -> None:
    told = {call.method for call in calls_in(ROOT / "docs" / "calls.md")}
    assert told >= {
        f"{each.full_name}/{method.name}" for each in _SERVICES for method in each.methods
    }


def test_operators_are_told_which_task_every_method_is_for() -> None:
    page = (ROOT / "docs" / "operators.md").read_text()
    methods = {method.name for each in _SERVICES for method in each.methods}
    assert set() == {each for each in methods if f"`{each}`" not in page}


def test_few_lines_are_kept_from_being_run_and_each_says_why() -> None:
    marked = [each for page in _PAGES for each in blocks(page.read_text()) if each.left_out]
    marks = sum(page.read_text().count("<!-- not run:") for page in _PAGES)

    assert len(marked) == marks, "a mark stands right before its block and ends with (why)"
    assert len(marked) <= _MOST_NOT_RUN
    assert all(len(each.to_run) < len(each.typed) for each in marked), "what it names is not there"
