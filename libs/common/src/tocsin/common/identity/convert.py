"""Credentials and audit entries between what is kept and what is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.timestamp_pb2 import Timestamp

from tocsin.api.auth.v1 import audit_pb2, credential_pb2
from tocsin.common.errors import Violations
from tocsin.common.identity.grants import Grant, check_grant
from tocsin.common.identity.roles import Role
from tocsin.common.rpc.times import read_timestamp
from tocsin.common.rpc.validate import read_choice

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from tocsin.api.auth.v1 import identity_service_pb2 as pb
    from tocsin.common.identity.audit import AuditEntry
    from tocsin.common.identity.credentials import Credential, CredentialKind

    Granting = pb.CreateTokenRequest | pb.GrantCertificateRequest

ROLE_NAMES: dict[int, str] = {
    number: name for name, number in credential_pb2.Role.items() if number
}
_ROLES = {number: Role(name.removeprefix("ROLE_").lower()) for number, name in ROLE_NAMES.items()}
_NUMBERS = {str(role): number for number, role in _ROLES.items()}


def read_grant(request: Granting, kind: CredentialKind, now: datetime) -> Grant:
    """Return what is to be granted, or raise InvalidArgumentError with all that is wrong."""
    found = Violations()
    roles = set[Role]()
    for index, number in enumerate(request.roles):
        known = read_choice(found, f"roles[{index}]", number, ROLE_NAMES)
        if known is not None:
            roles.add(_ROLES[known])
    expire_time = None
    if request.HasField("expire_time"):
        expire_time = read_timestamp(found, "expire_time", request.expire_time)
    grant = Grant(request.name, frozenset(roles), frozenset(request.host_ids), expire_time)
    if roles or not request.roles:
        check_grant(found, grant, kind, now)
    found.raise_if_any()
    return grant


def credential_to_stub(credential: Credential) -> credential_pb2.Credential:
    """Return a credential as it is sent."""
    return credential_pb2.Credential(
        credential_id=str(credential.credential_id),
        kind=credential_pb2.CredentialKind.ValueType(int(credential.kind)),
        name=credential.name,
        roles=role_numbers(credential.roles),
        host_ids=sorted(credential.host_ids),
        create_time=_stamp(credential.create_time),
        created_by=credential.created_by,
        expire_time=_stamp(credential.expire_time),
        revoke_time=_stamp(credential.revoke_time),
        revoked_by=credential.revoked_by,
        last_used_time=_stamp(credential.last_used_time),
    )


def entry_to_stub(entry: AuditEntry) -> audit_pb2.AuditEntry:
    """Return an entry of the audit trail as it is sent."""
    return audit_pb2.AuditEntry(
        entry_id=str(entry.entry_id),
        record_time=_stamp(entry.record_time),
        actor=entry.act.actor,
        on_behalf_of=entry.act.on_behalf_of,
        method=entry.act.method,
        subject=entry.act.subject,
        details=dict(entry.act.details),
    )


def role_numbers(roles: Iterable[str]) -> list[credential_pb2.Role.ValueType]:
    """Return roles as they are sent, in a fixed order."""
    return sorted(credential_pb2.Role.ValueType(_NUMBERS[role]) for role in roles)


def _stamp(moment: datetime | None) -> Timestamp | None:
    if moment is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp
