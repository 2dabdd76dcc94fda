"""The page of metrics, the dashboards and the alert rules name what there is."""

from __future__ import annotations

import json
import re
import runpy
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from support.repository import ROOT
from support.telemetry import metrics, running_site

if TYPE_CHECKING:
    from pathlib import Path

DASHBOARDS = sorted((ROOT / "deploy" / "grafana").glob("*.json"))
RULES = ROOT / "deploy" / "prometheus" / "tocsin.rules.yml"
RULE_TESTS = ROOT / "deploy" / "prometheus" / "tocsin.rules.test.yml"
PAGE = ROOT / "docs" / "telemetry.md"
# `up` is Prometheus' own.
NAME = re.compile(r"\b(?:tocsin_(?:alert|notify)|process|python)_[a-z0-9_]+")

promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="needs promtool; apt-get install prometheus"
)


def named_in(text: str, families: dict[str, str]) -> set[str]:
    """Return the metrics that a text names, its histograms without their endings."""
    names = set()
    for name in NAME.findall(text):
        stem = re.sub(r"_(?:bucket|sum|count)$", "", name)
        names.add(stem if families.get(stem) == "histogram" else name)
    return names


def expressions(path: Path) -> str:
    """Return what a dashboard asks for, and how its variables are found."""
    board = json.loads(path.read_text())
    asked: list[Any] = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    asked += [variable["query"] for variable in board["templating"]["list"]]
    return "\n".join(map(str, asked))


@pytest.mark.postgres
async def test_every_metric_that_is_named_is_shown_by_the_running_services(
    alert_url: str, notify_url: str
) -> None:
    async with running_site(alert_url, notify_url, max_calls_per_second=0) as site:
        shown = {
            **(await metrics(site.alert.app)).families,
            **(await metrics(site.notify)).families,
        }
        told = {
            family.name: family.kind
            for app in (site.alert.app, site.notify)
            for family in app.telemetry.families
        }
    # What has not happened yet (no delivery, no dead letter) is announced all the same.
    known = {**told, **shown}
    named = {path.name: named_in(expressions(path), known) for path in DASHBOARDS}
    named[RULES.name] = named_in(RULES.read_text(), known)

    assert len(DASHBOARDS) == 2
    assert all(named.values())
    assert {} == {name: each - known.keys() for name, each in named.items() if each - known.keys()}
    assert set() == {name for name in shown if name.startswith("tocsin")} - told.keys()


@pytest.mark.postgres
async def test_the_page_lists_every_metric_that_is_shown(alert_url: str, notify_url: str) -> None:
    async with running_site(alert_url, notify_url) as site:
        shown: set[str] = set()
        for app in (site.alert.app, site.notify):
            shown |= (await metrics(app)).families.keys()
    listed = set(re.findall(r"^\| `([a-z0-9_]+)", PAGE.read_text(), re.MULTILINE))

    assert set() == {name for name in shown if name.startswith("tocsin")} - listed


def test_the_page_of_metrics_is_up_to_date() -> None:
    page = runpy.run_path(str(ROOT / "docs" / "telemetry.py"))["page"]()
    assert page == PAGE.read_text(), "run `make docs`"


@promtool
def test_promtool_takes_the_rules() -> None:
    subprocess.run(["promtool", "check", "rules", RULES], check=True, timeout=60)


@promtool
def test_the_rules_fire_when_they_should() -> None:
    subprocess.run(
        ["promtool", "test", "rules", RULE_TESTS.name],
        cwd=RULE_TESTS.parent,
        check=True,
        timeout=60,
    )


@promtool
@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.name)
def test_promtool_takes_what_the_dashboards_ask(path: Path, tmp_path: Path) -> None:
    asked = [
        target["expr"].replace("$instance", ".*")
        for panel in json.loads(path.read_text())["panels"]
        for target in panel["targets"]
    ]
    rules = [
        {"record": "asked", "expr": expr, "labels": {"number": str(number)}}
        for number, expr in enumerate(asked)
    ]
    page = tmp_path / "asked.rules.json"  # YAML is a superset of JSON
    page.write_text(json.dumps({"groups": [{"name": path.stem, "rules": rules}]}))
    subprocess.run(["promtool", "check", "rules", page], check=True, timeout=60)


def test_every_rule_is_tested_and_says_what_to_do() -> None:
    text, tests = RULES.read_text(), RULE_TESTS.read_text()
    alerts = re.findall(r"- alert: (\w+)", text)

    assert alerts
    assert [] == [name for name in alerts if f"alertname: {name}" not in tests]
    assert len(alerts) == text.count("summary:") == text.count("description:")


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.name)
def test_every_panel_has_a_title_a_unit_and_a_question(path: Path) -> None:
    board = json.loads(path.read_text())

    assert board["uid"].startswith("tocsin-")
    for panel in board["panels"]:
        assert panel["title"]
        assert panel["description"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert all(target["expr"] for target in panel["targets"])
