"""What is to be granted to a token or a certificate, checked."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tocsin.common.identity.certificates import is_name
from tocsin.common.identity.credentials import CredentialKind
from tocsin.common.identity.roles import Role
from tocsin.common.rpc.caller import ANONYMOUS
from tocsin.common.rpc.validate import ID_CHARACTERS, check_texts, shown

if TYPE_CHECKING:
    from datetime import datetime

    from tocsin.common.errors import Violations

MOST_HOSTS = 1000

_TOKEN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,127}")
# What stands in events and in the audit trail for somebody else.
_TAKEN = frozenset({ANONYMOUS, "tocsin-alert"})


@dataclass(frozen=True, slots=True)
class Grant:
    """The identity of somebody, what they may do, of which hosts (empty: all) and until when."""

    name: str
    roles: frozenset[Role]
    host_ids: frozenset[str] = frozenset()
    expire_time: datetime | None = None


def check_grant(found: Violations, grant: Grant, kind: CredentialKind, now: datetime) -> None:
    """Note all that is wrong with a grant."""
    if kind is CredentialKind.TOKEN:
        _check_token_name(found, grant.name)
    elif not is_name(grant.name):
        found.add(
            "name",
            f"{shown(grant.name)!r} is no name of a certificate; write a URI such as "
            "spiffe://example.org/agent/web-1, or dns:web-1.example.org",
        )
    if not grant.roles:
        found.add("roles", f"must not be empty; write some of {', '.join(Role)}")
    hosts = sorted(grant.host_ids)
    check_texts(found, "host_ids", hosts, most_items=MOST_HOSTS, most=ID_CHARACTERS)
    if hosts and grant.roles - {Role.ORCHESTRATOR}:
        found.add("host_ids", "are for the role orchestrator alone; leave them out, or its others")
    if grant.expire_time is not None and grant.expire_time <= now:
        found.add("expire_time", "is not in the future; write a later time, or none for no end")


def _check_token_name(found: Violations, name: str) -> None:
    if not _TOKEN_NAME.fullmatch(name):
        said = f"{shown(name)!r} is no name of a token" if name else "must not be empty"
        found.add(
            "name",
            f"{said}; write 1 to 128 characters a-z, A-Z, 0-9, '.', '_', '@' and '-', a letter or "
            "digit first",
        )
    elif name.lower() in _TAKEN:
        found.add("name", f"{name!r} stands for somebody else; write another name")
