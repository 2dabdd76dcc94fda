"""The documents say what is so."""

from __future__ import annotations

import re
import runpy
from typing import TYPE_CHECKING

import pytest
from google.protobuf.descriptor_pool import Default
from google.protobuf.json_format import Parse
from google.protobuf.message_factory import GetMessageClass

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
_GRPCURL = re.compile(
    r"^ *grpcurl -plaintext (?:-d '(?P<json>[^']*)' (?:\\\n *)?)?[\d.:]+ (?P<method>tocsin\S+)$",
    re.MULTILINE,
)
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


@pytest.mark.parametrize("name", ["README.md", "docs/operators.md"])
def test_every_grpcurl_line_calls_what_there_is_with_fields_that_there_are(name: str) -> None:
    lines = list(_GRPCURL.finditer((ROOT / name).read_text()))
    assert lines
    for line in lines:
        service, _, method = line["method"].partition("/")
        called = Default().FindServiceByName(service).methods_by_name[method]
        Parse(line["json"] or "{}", GetMessageClass(called.input_type)())


def test_operators_are_told_how_to_call_every_method_by_hand() -> None:
    page = (ROOT / "docs" / "operators.md").read_text()
    told = {line["method"] for line in _GRPCURL.finditer(page)}
    assert told >= {
        f"{each.full_name}/{method.name}" for each in _SERVICES for method in each.methods
    }
