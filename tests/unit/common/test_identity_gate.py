from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from support.clock import ManualClock
from tocsin.common.errors import PermissionDeniedError, UnauthenticatedError
from tocsin.common.identity.credentials import Credential, CredentialKind, Known
from tocsin.common.identity.gate import Gate
from tocsin.common.identity.roles import ANYBODY, Role, only, require_host
from tocsin.common.identity.tokens import digest_of, new_token

if TYPE_CHECKING:
    from datetime import datetime

    from tocsin.common.rpc.caller import Peer

TOKEN = new_token(bytes)
HOST = "/tocsin.api.alert.v1.AlertService/RaiseOrTouch"
LIST = "/tocsin.api.alert.v1.AlertService/ListAlerts"
HEALTH = "/grpc.health.v1.Health/Check"
RULES = {
    HOST: only(Role.ORCHESTRATOR, names_hosts=True),
    LIST: only(Role.SUBSCRIBER, Role.OPERATOR),
    HEALTH: ANYBODY,
}
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
AGENT = "spiffe://example.org/agent/web-1"


@dataclass
class Call:
    """As much of gRPC's context as the gate looks at."""

    metadata: tuple[tuple[str, str], ...] = ()
    names: dict[str, list[bytes]] = field(default_factory=dict)

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return self.metadata

    def auth_context(self) -> dict[str, list[bytes]]:
        return self.names


@dataclass
class Knowing:
    known: Known
    used: set[UUID] = field(default_factory=set)


def a_credential(
    *roles: Role,
    kind: CredentialKind = CredentialKind.TOKEN,
    name: str = "nightly",
    hosts: tuple[str, ...] = (),
    expire_time: datetime | None = None,
    revoke_time: datetime | None = None,
) -> Credential:
    return Credential(
        credential_id=UUID(int=7),
        kind=kind,
        name=name,
        roles=frozenset(roles),
        host_ids=frozenset(hosts),
        create_time=ManualClock().now(),
        created_by="local:root",
        expire_time=expire_time,
        revoke_time=revoke_time,
    )


def ask(
    method: str, *credentials: Credential, call: Any = None, clock: ManualClock | None = None
) -> Peer:
    """Ask the gate for one call, by default one that bears TOKEN."""
    rows = [
        (each, digest_of(TOKEN) if each.kind is CredentialKind.TOKEN else None)
        for each in credentials
    ]
    gate = Gate(RULES, Knowing(Known.of(rows)), clock=clock or ManualClock())
    made: Any = call or Call((("authorization", f"Bearer {TOKEN}"),))
    return gate.check_of(method)(made)


def test_a_token_with_the_role_is_let_in_under_its_name() -> None:
    peer = ask(LIST, a_credential(Role.SUBSCRIBER))

    assert ("nightly", "", frozenset(), False) == (
        peer.actor,
        peer.traceparent,
        peer.host_ids,
        peer.is_person,
    )


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.ADMIN])
def test_operators_and_admins_are_people(role: Role) -> None:
    assert ask(LIST, a_credential(role)).is_person


def test_the_trace_is_read_together_with_the_token() -> None:
    call = Call((("traceparent", TRACE), ("authorization", f"Bearer {TOKEN}")))

    assert TRACE == ask(LIST, a_credential(Role.SUBSCRIBER), call=call).traceparent


def test_what_is_used_is_noted() -> None:
    knowing = Knowing(Known.of([(a_credential(Role.SUBSCRIBER), digest_of(TOKEN))]))
    call: Any = Call((("authorization", f"Bearer {TOKEN}"),))

    Gate(RULES, knowing, clock=ManualClock()).check_of(LIST)(call)

    assert {UUID(int=7)} == knowing.used


def test_a_call_without_a_credential_is_told_which_ones_there_are() -> None:
    with pytest.raises(UnauthenticatedError, match=r"authorization: Bearer.*client certif") as told:
        ask(LIST, call=Call())

    assert "CREDENTIAL_MISSING" == told.value.reason


@pytest.mark.parametrize("header", ["", "Bearer short", "Basic abc", TOKEN])
def test_what_is_no_token_is_told_how_one_looks(header: str) -> None:
    with pytest.raises(UnauthenticatedError, match="43 characters") as told:
        ask(LIST, a_credential(Role.ADMIN), call=Call((("authorization", header),)))

    assert "TOKEN_INVALID" == told.value.reason
    assert header == "" or header not in told.value.message


def test_a_token_of_nobody_is_not_known() -> None:
    with pytest.raises(UnauthenticatedError, match="not known here") as told:
        ask(LIST)

    assert "TOKEN_INVALID" == told.value.reason
    assert TOKEN not in told.value.message


def test_a_token_is_worth_nothing_from_the_moment_that_it_expires() -> None:
    clock = ManualClock()
    credential = a_credential(Role.SUBSCRIBER, expire_time=clock.now() + timedelta(days=1))

    assert "nightly" == ask(LIST, credential, clock=clock).actor
    clock.advance(timedelta(days=1))
    with pytest.raises(UnauthenticatedError, match="was over at") as told:
        ask(LIST, credential, clock=clock)
    assert "CREDENTIAL_EXPIRED" == told.value.reason


def test_a_revoked_token_is_worth_nothing() -> None:
    with pytest.raises(UnauthenticatedError, match="'nightly' was revoked") as told:
        ask(LIST, a_credential(Role.SUBSCRIBER, revoke_time=ManualClock().now()))

    assert "CREDENTIAL_REVOKED" == told.value.reason


def test_a_caller_without_the_role_is_told_which_it_needs_and_which_it_has() -> None:
    with pytest.raises(PermissionDeniedError, match=r"needs the role .*'nightly' has orch") as told:
        ask(LIST, a_credential(Role.ORCHESTRATOR))

    assert ("ROLE_MISSING", "admin,operator,subscriber", "orchestrator") == (
        told.value.reason,
        told.value.metadata["needed"],
        told.value.metadata["roles"],
    )


def test_a_method_without_a_rule_is_for_nobody() -> None:
    with pytest.raises(PermissionDeniedError, match="in no rule"):
        ask("/tocsin.api.alert.v1.AlertService/New", a_credential(Role.ADMIN))


def test_health_is_for_anybody() -> None:
    assert "anonymous" == ask(HEALTH, call=Call()).actor


def test_a_caller_bound_to_hosts_may_call_what_names_them() -> None:
    peer = ask(HOST, a_credential(Role.ORCHESTRATOR, hosts=("web-1",)))

    require_host(peer, "web-1")
    with pytest.raises(PermissionDeniedError, match="'web-1' only, not of 'db-1'") as told:
        require_host(peer, "db-1")
    assert "HOST_NOT_ALLOWED" == told.value.reason


def test_a_caller_bound_to_hosts_may_call_nothing_that_names_none() -> None:
    with pytest.raises(PermissionDeniedError, match="not about single hosts") as told:
        ask(LIST, a_credential(Role.SUBSCRIBER, hosts=("web-1",)))

    assert "HOST_NOT_ALLOWED" == told.value.reason


def certified(*names: str, roles: tuple[Role, ...] = (Role.SUBSCRIBER,)) -> list[Credential]:
    return [a_credential(*roles, kind=CredentialKind.CERTIFICATE, name=name) for name in names]


def test_a_certificate_is_known_by_its_uri() -> None:
    call = Call(names={"peer_uri": [AGENT.encode()], "peer_dns": [b"web-1.example.org"]})

    assert AGENT == ask(LIST, *certified(AGENT, "dns:web-1.example.org"), call=call).actor


def test_a_certificate_is_known_by_its_dns_name() -> None:
    call = Call(names={"peer_uri": [AGENT.encode()], "peer_dns": [b"web-1.example.org"]})

    peer = ask(LIST, *certified("dns:web-1.example.org"), call=call)

    assert "dns:web-1.example.org" == peer.actor


def test_no_common_name_and_no_name_of_another_sort_counts() -> None:
    call = Call(names={"x509_common_name": [b"nightly"], "peer_dns": [AGENT.encode()]})

    with pytest.raises(UnauthenticatedError, match="No role was granted") as told:
        ask(LIST, *certified(AGENT), a_credential(Role.ADMIN), call=call)

    assert ("CERTIFICATE_UNKNOWN", f"dns:{AGENT}") == (
        told.value.reason,
        told.value.metadata["names"],
    )


@pytest.mark.parametrize("name", ["dns:web-1.example.org", "email:ops@example.org"])
def test_a_uri_that_is_written_like_a_name_of_another_sort_is_none(name: str) -> None:
    call = Call(names={"peer_uri": [name.encode()]})

    with pytest.raises(UnauthenticatedError):
        ask(LIST, *certified(name), call=call)


def test_the_token_counts_where_there_is_a_certificate_as_well() -> None:
    call = Call((("authorization", f"Bearer {TOKEN}"),), {"peer_uri": [AGENT.encode()]})

    assert "nightly" == ask(LIST, *certified(AGENT), a_credential(Role.OPERATOR), call=call).actor


def test_a_bad_token_is_not_made_good_by_a_certificate() -> None:
    call = Call((("authorization", f"Bearer {TOKEN}"),), {"peer_uri": [AGENT.encode()]})

    with pytest.raises(UnauthenticatedError):
        ask(LIST, *certified(AGENT), call=call)


@pytest.mark.parametrize("hosts", [(), ("web-1",)])
@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("method", [HOST, LIST, HEALTH, "/tocsin.api.alert.v1.AlertService/New"])
def test_whose_request_is_read_first_is_let_in_by_its_token(
    method: str, role: Role, hosts: tuple[str, ...]
) -> None:
    knowing = Knowing(Known.of([(a_credential(role, hosts=hosts), digest_of(TOKEN))]))
    gate = Gate(RULES, knowing, clock=ManualClock())
    headers = (("authorization", f"Bearer {TOKEN}"),)
    call: Any = Call(headers)
    try:
        let_in = gate.check_of(method)(call).credential_id is not None
    except PermissionDeniedError:
        let_in = False

    assert let_in == gate.let_in_by_token(method, headers)


def test_only_the_plain_form_of_a_header_is_remembered() -> None:
    credential = a_credential(Role.SUBSCRIBER)
    knowing = Knowing(Known.of([(credential, digest_of(TOKEN))]))
    gate = Gate(RULES, knowing, clock=ManualClock())
    headers = [f"Bearer {' ' * spaces}{TOKEN}" for spaces in range(100)]

    let_in = [gate.let_in_by_token(LIST, [("authorization", header)]) for header in headers]

    assert all(let_in)
    assert headers[:1] == list(gate._headers)
