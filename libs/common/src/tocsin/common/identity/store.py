"""Changes of credentials, each with its line in the audit trail, in one transaction."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from tocsin.common.identity import audit, credential_rows
from tocsin.common.identity.audit import Act
from tocsin.common.identity.credential_rows import NewCredential
from tocsin.common.identity.credentials import Credential, CredentialKind
from tocsin.common.identity.tokens import digest_of, new_token
from tocsin.common.ids import uuid7

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from tocsin.common.clock import Clock
    from tocsin.common.identity.audit import AuditEntry, AuditFilter
    from tocsin.common.identity.grants import Grant
    from tocsin.common.ids import NewId
    from tocsin.common.postgres.engine import Database


class CredentialStore:
    """Makes, lists and ends credentials, and lists the audit trail.

    Every method raises UnavailableError when the database does not answer.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        new_id: NewId = uuid7,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._database = database
        self._clock = clock
        self._new_id = new_id
        self._random_bytes = random_bytes

    async def create_token(self, grant: Grant, by: str, method: str) -> tuple[Credential, str]:
        """Make a token, and return what is kept of it and the token itself."""
        token = new_token(self._random_bytes)
        credential = self._made(CredentialKind.TOKEN, grant, by)
        await self._add(NewCredential(credential, digest_of(token)), method)
        return credential, token

    async def grant_certificate(self, grant: Grant, by: str, method: str) -> Credential:
        """Say what the bearer of a certificate may do. Raises AlreadyExistsError."""
        credential = self._made(CredentialKind.CERTIFICATE, grant, by)
        await self._add(NewCredential(credential), method)
        return credential

    async def revoke(self, credential_id: UUID, by: str, method: str) -> tuple[Credential, bool]:
        """End a credential; return it, and whether it had not ended. Raises NotFoundError."""
        now = self._clock.now()
        async with self._database.transaction() as connection:
            ended, is_changed = await credential_rows.revoke(connection, credential_id, by, now)
            if is_changed:
                act = Act(by, method, str(credential_id), {"name": ended.name})
                await audit.record(connection, [act], now, self._new_id)
            return ended, is_changed

    async def list_page(
        self, *, include_ended: bool, before: UUID | None, limit: int
    ) -> list[Credential]:
        """Return at most `limit` credentials, the latest made first, from those before one on."""
        async with self._database.connection() as connection:
            return await credential_rows.list_page(
                connection,
                include_ended=include_ended,
                now=self._clock.now(),
                before=before,
                limit=limit,
            )

    async def list_audit(
        self, wanted: AuditFilter, *, before: UUID | None, limit: int
    ) -> list[AuditEntry]:
        """Return at most `limit` entries of the audit trail, the latest first."""
        async with self._database.connection() as connection:
            return await audit.list_entries(connection, wanted, before=before, limit=limit)

    def _made(self, kind: CredentialKind, grant: Grant, by: str) -> Credential:
        return Credential(
            credential_id=self._new_id(),
            kind=kind,
            name=grant.name,
            roles=grant.roles,
            host_ids=grant.host_ids,
            create_time=self._clock.now(),
            created_by=by,
            expire_time=grant.expire_time,
        )

    async def _add(self, new: NewCredential, method: str) -> None:
        credential = new.credential
        details = {"name": credential.name, "roles": ",".join(sorted(credential.roles))}
        if credential.host_ids:
            details["host_ids"] = ",".join(sorted(credential.host_ids))[:1000]
        if credential.expire_time is not None:
            details["expire_time"] = credential.expire_time.isoformat()
        act = Act(credential.created_by, method, str(credential.credential_id), details)
        async with self._database.transaction() as connection:
            await credential_rows.add(connection, new)
            await audit.record(connection, [act], credential.create_time, self._new_id)
