"""Credentials for tests, put into a service's database by its own store."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import grpc

from tocsin.common.clock import SystemClock
from tocsin.common.identity.grants import Grant
from tocsin.common.identity.roles import Role
from tocsin.common.identity.store import CredentialStore
from tocsin.common.postgres.engine import Database

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tocsin.common.identity.credentials import Credential

EVERY_ROLE = tuple(Role)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Credentials:
    """Makes credentials in the database of a service, as an admin on the server would."""

    url: str

    async def token(
        self,
        *roles: Role,
        name: str = "someone",
        hosts: Iterable[str] = (),
        expire_time: datetime | None = None,
    ) -> str:
        """Make a token and return it."""
        grant = Grant(name, frozenset(roles), frozenset(hosts), expire_time)
        _, token = await self._ask(lambda store: store.create_token(grant, "tests", "tests"))
        return str(token)

    async def expired_token(self, *roles: Role) -> str:
        """Make a token whose time is over."""
        return await self.token(*roles, name="late", expire_time=LONG_AGO + timedelta(days=1))

    async def revoked_token(self, *roles: Role) -> str:
        """Make a token that was revoked."""
        grant = Grant("gone", frozenset(roles))
        made, token = await self._ask(lambda store: store.create_token(grant, "tests", "tests"))
        await self._ask(lambda store: store.revoke(made.credential_id, "tests", "tests"))
        return str(token)

    async def certificate(self, name: str, *roles: Role, hosts: Iterable[str] = ()) -> Credential:
        """Grant roles to a certificate."""
        grant = Grant(name, frozenset(roles), frozenset(hosts))
        granted: Credential = await self._ask(
            lambda store: store.grant_certificate(grant, "tests", "tests")
        )
        return granted

    async def _ask(self, ask: Any) -> Any:
        database = Database(self.url, application_name="tests", pool_size=1)
        try:
            return await ask(CredentialStore(database, SystemClock()))
        finally:
            await database.close()


def bearing(token: str) -> tuple[tuple[str, str], ...]:
    """Return the metadata of a call that bears a token."""
    return (("authorization", f"Bearer {token}"),)


async def code_of_call(
    channel: grpc.aio.Channel, method: str, *, metadata: Any = (), request: bytes = b""
) -> tuple[grpc.StatusCode, str]:
    """Call any method with these bytes: how it ended, and what was said.

    The request is sent whole as the call begins. `grpc.aio` tells of a call that is refused before
    a stream of requests was sent as an "Internal error from Core" now and then.
    """
    calling: Any = channel.unary_stream(method)
    call = calling(request, metadata=metadata, timeout=30)
    try:
        async for _ in call:
            break
    except grpc.aio.AioRpcError as error:
        return error.code(), error.details() or ""
    call.cancel()
    return grpc.StatusCode.OK, ""
