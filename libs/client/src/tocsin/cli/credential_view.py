"""Credentials and the audit trail, as people read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from tocsin.api.auth.v1.credential_pb2 import CredentialKind, Role
from tocsin.cli.names import short_name
from tocsin.cli.references import short_id
from tocsin.cli.times import age, moment_of, stamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from tocsin.api.auth.v1.audit_pb2 import AuditEntry
    from tocsin.api.auth.v1.credential_pb2 import Credential
    from tocsin.cli.grid import Cell

CREDENTIAL_HEADINGS = ("ID", "NAME", "KIND", "ROLES", "HOSTS", "STATE", "LAST USED")
AUDIT_HEADINGS = ("TIME", "WHO", "WHAT", "TO", "DETAILS")

_MOST_HOSTS = 3


def credential_row(credential: Credential, now: datetime) -> list[Cell]:
    """Return the row of a credential under CREDENTIAL_HEADINGS."""
    return [
        short_id(credential.credential_id),
        credential.name,
        short_name(CredentialKind, credential.kind),
        roles_text(credential.roles),
        _hosts(credential.host_ids),
        _state(credential, now),
        age(moment_of(credential.last_used_time), now)
        if credential.HasField("last_used_time")
        else "never",
    ]


def credential_fields(credential: Credential) -> Iterator[tuple[str, str | Text]]:
    """Yield what there is to tell about a new credential, by name."""
    yield "id", credential.credential_id
    yield "name", credential.name
    yield "roles", roles_text(credential.roles)
    yield "hosts", _hosts(credential.host_ids)
    if credential.HasField("expire_time"):
        yield "until", stamp(moment_of(credential.expire_time))


def audit_row(entry: AuditEntry) -> list[Cell]:
    """Return the row of an entry under AUDIT_HEADINGS."""
    who = f"{entry.actor} for {entry.on_behalf_of}" if entry.on_behalf_of else entry.actor
    details = ", ".join(f"{name}={entry.details[name]}" for name in sorted(entry.details))
    return [stamp(moment_of(entry.record_time)), who, entry.method, entry.subject, details]


def roles_text(roles: Iterable[Role.ValueType]) -> str:
    """Return the names of roles."""
    return ", ".join(short_name(Role, role) for role in roles)


def _hosts(host_ids: Iterable[str]) -> str:
    hosts = list(host_ids)
    more = f" and {len(hosts) - _MOST_HOSTS:,} more" if len(hosts) > _MOST_HOSTS else ""
    return ", ".join(hosts[:_MOST_HOSTS]) + more


def _state(credential: Credential, now: datetime) -> Text:
    if credential.HasField("revoke_time"):
        return Text(f"revoked by {credential.revoked_by}", style="dim")
    if not credential.HasField("expire_time"):
        return Text("valid")
    end = moment_of(credential.expire_time)
    if end <= now:
        return Text("expired", style="dim")
    return Text(f"until {stamp(end)}")
