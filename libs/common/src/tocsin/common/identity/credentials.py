"""What a caller can prove its identity by, as it is known to a service."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import TYPE_CHECKING

from tocsin.common.identity.roles import PEOPLE, Role
from tocsin.common.rpc.caller import Peer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime
    from uuid import UUID


class CredentialKind(IntEnum):
    """How the identity is proven. The numbers are those of the tables."""

    TOKEN = 1
    CERTIFICATE = 2


@dataclass(frozen=True, slots=True)
class Credential:
    """Who somebody is, and what they may do.

    `name` is the identity that is written beside whatever is done with it: chosen for a token; for
    a certificate its subject alternative name, as `identity.certificates` writes it. `host_ids`:
    the hosts that it may speak of, empty for all. `last_used_time` is true to the hour.
    """

    credential_id: UUID
    kind: CredentialKind
    name: str
    roles: frozenset[Role]
    host_ids: frozenset[str]
    create_time: datetime
    created_by: str
    expire_time: datetime | None = None
    revoke_time: datetime | None = None
    revoked_by: str = ""
    last_used_time: datetime | None = None
    peer: Peer = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        peer = Peer(
            self.name,
            "",
            self.host_ids,
            roles=frozenset(map(str, self.roles)),
            is_person=not PEOPLE.isdisjoint(self.roles),
            credential_id=self.credential_id,
        )
        object.__setattr__(self, "peer", peer)

    def peer_in(self, traceparent: str) -> Peer:
        """Return who calls by this credential, as part of a trace; '' for none."""
        return replace(self.peer, traceparent=traceparent) if traceparent else self.peer

    def is_expired(self, now: datetime) -> bool:
        """Whether its time is over."""
        return self.expire_time is not None and self.expire_time <= now


@dataclass(frozen=True, slots=True)
class Known:
    """Every credential that there is, found by what a caller shows. It never changes."""

    by_digest: Mapping[bytes, Credential]
    by_certificate: Mapping[str, Credential]
    by_id: Mapping[UUID, Credential]

    @classmethod
    def of(cls, rows: Iterable[tuple[Credential, bytes | None]]) -> Known:
        """Take in credentials, with the digests of those that are tokens.

        Of the certificates that bear one name, the one that was not revoked counts.
        """
        by_digest: dict[bytes, Credential] = {}
        by_certificate: dict[str, Credential] = {}
        by_id: dict[UUID, Credential] = {}
        for credential, digest in rows:
            by_id[credential.credential_id] = credential
            if digest is not None:
                by_digest[digest] = credential
            elif credential.revoke_time is None:
                by_certificate[credential.name] = credential
        return cls(by_digest, by_certificate, by_id)

    @property
    def is_empty(self) -> bool:
        """Whether nobody was ever given a credential."""
        return not self.by_id


NOBODY_KNOWN = Known({}, {}, {})
