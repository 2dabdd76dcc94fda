"""docs/failures.md has a row for whatever may be refused, logged or alarmed."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

import yaml

from support.pages import section
from support.repository import ROOT, own_modules
from tocsin.api.alert.v1 import error_reason_pb2 as of_alert
from tocsin.api.notify.v1 import error_reason_pb2 as of_notify

if TYPE_CHECKING:
    from pathlib import Path

PAGE = (ROOT / "docs" / "failures.md").read_text()
_TOLD = set(re.findall(r"`([^`]+)`", PAGE))
_LEVELS = {"warning", "error", "exception", "critical"}
_LOGS = {"_log", "log", "told"}


def reasons() -> set[str]:
    names = [*of_alert.ErrorReason.keys(), *of_notify.ErrorReason.keys()]
    return {name.removeprefix("ERROR_REASON_") for name in names} - {"UNSPECIFIED"}


def logged_in(module: Path) -> set[str]:
    """Return the events that a module logs as a warning or worse."""
    return {
        call.args[0].value
        for call in ast.walk(ast.parse(module.read_text()))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr in _LEVELS
        and isinstance(call.func.value, ast.Name)
        and call.func.value.id in _LOGS
        and call.args
        and isinstance(call.args[0], ast.Constant)
        and isinstance(call.args[0].value, str)
    }


def said_in(module: Path) -> set[str]:
    """Return every text in a module: what is logged by a level of its own is among them."""
    nodes = ast.walk(ast.parse(module.read_text()))
    return {
        each.value
        for each in nodes
        if isinstance(each, ast.Constant) and isinstance(each.value, str)
    }


def test_every_reason_of_a_refusal_has_its_row() -> None:
    assert len(reasons()) > 40
    assert set() == reasons() - _TOLD


def test_every_warning_and_error_of_the_services_has_its_row_and_none_is_made_up() -> None:
    # What the command says by its own log is on the terminal of whoever runs it.
    modules = [each for each in own_modules() if not {"cli", "client"} & {*each.parts}]
    logged = set().union(*map(logged_in, modules))
    rows = re.findall(
        r"^\| (`[^|]+`) \|", section(PAGE, "Warnings and errors in the logs"), re.MULTILINE
    )
    named = {name for row in rows for name in re.findall(r"`([^`]+)`", row)}

    assert len(logged) > 30
    assert set() == logged - named
    said = set().union(*map(said_in, modules))
    assert set() == {each for each in named if "…" not in each} - said


def test_every_alert_rule_has_its_row_and_no_other_has_one() -> None:
    rules = yaml.safe_load((ROOT / "deploy" / "prometheus" / "tocsin.rules.yml").read_text())
    alarms = {rule["alert"] for group in rules["groups"] for rule in group["rules"]}

    assert alarms == set(re.findall(r"`(Tocsin\w+)`", section(PAGE, "Alarms of Prometheus")))
