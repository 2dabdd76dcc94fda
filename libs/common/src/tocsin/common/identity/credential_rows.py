"""The credentials as they are kept. A row is never deleted: whoever was there can be looked up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tocsin.common.errors import AlreadyExistsError, NotFoundError
from tocsin.common.identity.credentials import Credential, CredentialKind
from tocsin.common.identity.roles import Role

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime
    from uuid import UUID

    import asyncpg

_ADD = """
INSERT INTO credentials (credential_id, kind, name, digest, roles, host_ids, create_time,
                         created_by, expire_time)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
    ON CONFLICT (name) WHERE kind = 2 AND revoke_time IS NULL DO NOTHING
RETURNING true
"""
# Also the time: counted alone, a database that was restored from an older backup and changed since
# could have the number that a server knows from before.
_CHANGED = """
UPDATE credential_version
   SET version = greatest(version + 1, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)
"""
_READ = "SELECT * FROM credentials WHERE credential_id = $1"
_READ_ALL = "SELECT * FROM credentials ORDER BY credential_id"
_PAGE = """
SELECT * FROM credentials
 WHERE ($1 OR revoke_time IS NULL AND (expire_time IS NULL OR expire_time > $2))
   AND ($3::uuid IS NULL OR credential_id < $3)
 ORDER BY credential_id DESC LIMIT $4
"""
_REVOKE = """
UPDATE credentials SET revoke_time = $2, revoked_by = $3
 WHERE credential_id = $1 AND revoke_time IS NULL
RETURNING *
"""
# True to the hour, so that what is used all the time is written once an hour.
_USED = """
UPDATE credentials SET last_used_time = $2
 WHERE credential_id = ANY($1)
   AND (last_used_time IS NULL OR last_used_time < $2::timestamptz - interval '1 hour')
"""
_ROLES = frozenset(map(str, Role))


@dataclass(frozen=True, slots=True)
class NewCredential:
    """A credential to keep. `digest` is that of the token; None for a certificate."""

    credential: Credential
    digest: bytes | None = None


async def add(connection: asyncpg.Connection, new: NewCredential) -> None:
    """Keep a credential. Raises AlreadyExistsError for a second grant to a certificate."""
    credential = new.credential
    is_added = await connection.fetchval(
        _ADD,
        credential.credential_id,
        int(credential.kind),
        credential.name,
        new.digest,
        sorted(credential.roles),
        sorted(credential.host_ids),
        credential.create_time,
        credential.created_by,
        credential.expire_time,
    )
    if not is_added:
        raise AlreadyExistsError(
            f"Something was granted to {credential.name} already. Revoke that first: "
            f"tocsin token revoke {credential.name}",
            reason="CREDENTIAL_EXISTS",
        )
    await connection.execute(_CHANGED)


async def revoke(
    connection: asyncpg.Connection, credential_id: UUID, by: str, now: datetime
) -> tuple[Credential, bool]:
    """End a credential, and return it, and whether it had not ended.

    Raises NotFoundError (CREDENTIAL_NOT_FOUND).
    """
    row = await connection.fetchrow(_REVOKE, credential_id, now, by)
    if row is not None:
        await connection.execute(_CHANGED)
        return _credential(row), True
    row = await connection.fetchrow(_READ, credential_id)
    if row is None:
        raise NotFoundError(f"No credential {credential_id}.", reason="CREDENTIAL_NOT_FOUND")
    return _credential(row), False


async def list_page(
    connection: asyncpg.Connection,
    *,
    include_ended: bool,
    now: datetime,
    before: UUID | None,
    limit: int,
) -> list[Credential]:
    """Return at most `limit` credentials, the latest made first, from those before one on."""
    return [
        _credential(row) for row in await connection.fetch(_PAGE, include_ended, now, before, limit)
    ]


async def read_version(connection: asyncpg.Connection) -> int:
    """Return a number that grows with each change of the credentials."""
    version: int = await connection.fetchval("SELECT version FROM credential_version")
    return version


async def read_all(connection: asyncpg.Connection) -> list[tuple[Credential, bytes | None]]:
    """Return every credential, with the digests of the tokens."""
    return [(_credential(row), row["digest"]) for row in await connection.fetch(_READ_ALL)]


async def note_used(
    connection: asyncpg.Connection, credential_ids: Collection[UUID], now: datetime
) -> None:
    """Write down that credentials were used."""
    await connection.execute(_USED, list(credential_ids), now)


def _credential(row: Mapping[str, Any]) -> Credential:
    return Credential(
        credential_id=row["credential_id"],
        kind=CredentialKind(row["kind"]),
        name=row["name"],
        # One that a newer version made gives nothing here, and must not hide the other rows.
        roles=frozenset(Role(role) for role in row["roles"] if role in _ROLES),
        host_ids=frozenset(row["host_ids"]),
        create_time=row["create_time"],
        created_by=row["created_by"],
        expire_time=row["expire_time"],
        revoke_time=row["revoke_time"],
        revoked_by=row["revoked_by"],
        last_used_time=row["last_used_time"],
    )
