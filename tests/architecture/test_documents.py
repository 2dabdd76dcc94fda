"""The documents say what is so."""

from __future__ import annotations

import re
import runpy
from typing import TYPE_CHECKING

import pytest

from support.repository import ROOT

if TYPE_CHECKING:
    from pathlib import Path

_LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")


def test_the_page_of_settings_is_up_to_date() -> None:
    page = runpy.run_path(str(ROOT / "docs" / "configuration.py"))["page"]()
    assert page == (ROOT / "docs" / "configuration.md").read_text(), "run `make docs`"


@pytest.mark.parametrize(
    "path", [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")], ids=lambda path: path.name
)
def test_every_link_within_the_documents_leads_somewhere(path: Path) -> None:
    links = _LINK.findall(path.read_text())
    assert [] == [link for link in links if not (path.parent / link).exists()]
