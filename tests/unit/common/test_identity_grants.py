from __future__ import annotations

from datetime import timedelta

import pytest

from support.clock import ManualClock
from tocsin.common.errors import Violations
from tocsin.common.identity.certificates import is_name
from tocsin.common.identity.credentials import CredentialKind
from tocsin.common.identity.grants import Grant, check_grant
from tocsin.common.identity.roles import Role

NOW = ManualClock().now()
ORCHESTRATOR = frozenset({Role.ORCHESTRATOR})


def wrong(grant: Grant, kind: CredentialKind = CredentialKind.TOKEN) -> list[str]:
    found = Violations()
    check_grant(found, grant, kind, NOW)
    return [each.field for each in found.found]


def test_a_whole_grant_is_right() -> None:
    later = NOW + timedelta(days=90)

    assert [] == wrong(Grant("nightly@web-1", ORCHESTRATOR, frozenset({"web-1"}), later))


@pytest.mark.parametrize("name", ["", "-x", "a b", "dns:web-1", "spiffe://x/y", "x" * 129, "é"])
def test_a_name_that_could_be_taken_for_another_is_refused(name: str) -> None:
    assert ["name"] == wrong(Grant(name, ORCHESTRATOR))


@pytest.mark.parametrize("name", ["anonymous", "Anonymous", "tocsin-alert"])
def test_a_name_that_stands_for_somebody_else_is_refused(name: str) -> None:
    assert ["name"] == wrong(Grant(name, ORCHESTRATOR))


def test_all_that_is_wrong_is_told_at_once() -> None:
    assert ["name", "roles", "host_ids[0]", "expire_time"] == wrong(
        Grant("", frozenset(), frozenset({""}), NOW)
    )


def test_only_orchestrators_can_be_bound_to_hosts() -> None:
    roles = frozenset({Role.ORCHESTRATOR, Role.SUBSCRIBER})

    assert ["host_ids"] == wrong(Grant("x", roles, frozenset({"web-1"})))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("spiffe://example.org/agent/web-1", True),
        ("https://example.org/x", True),
        ("dns:web-1.example.org", True),
        ("dns:*.example.org", True),
        ("email:ops@example.org", True),
        ("web-1.example.org", False),
        ("dns:", False),
        ("spiffe://", False),
        ("spiffe://a b", False),
        ("nightly", False),
        ("spiffe://" + "x" * 256, False),
    ],
)
def test_the_names_of_certificates(name: str, expected: bool) -> None:
    assert expected == is_name(name)
    kind = CredentialKind.CERTIFICATE
    assert ([] if expected else ["name"]) == wrong(Grant(name, ORCHESTRATOR), kind)
