"""IdentityService: thin. What may be granted is decided in `grants`, rows are kept in `store`."""

# ruff: noqa: ARG002, N802 - gRPC names the methods, and gives a context to each

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from tocsin.api.auth.v1 import identity_service_pb2 as pb
from tocsin.api.auth.v1.identity_service_pb2_grpc import (
    IdentityServiceServicer,
    add_IdentityServiceServicer_to_server,
)
from tocsin.common.errors import TocsinError, Violations
from tocsin.common.identity.audit import AuditFilter
from tocsin.common.identity.convert import (
    credential_to_stub,
    entry_to_stub,
    read_grant,
    role_numbers,
)
from tocsin.common.identity.credentials import CredentialKind
from tocsin.common.identity.roles import EVERYBODY
from tocsin.common.rpc.caller import peer_of
from tocsin.common.rpc.pages import note_made_up, page_token, read_page_token
from tocsin.common.rpc.times import read_timestamp
from tocsin.common.rpc.validate import ID_CHARACTERS, check_text, read_page_size, read_uuid

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import grpc

    from tocsin.common.clock import Clock
    from tocsin.common.identity.store import CredentialStore

    Context = grpc.aio.ServicerContext[Any, Any]


class IdentityService(IdentityServiceServicer):
    """Keeps the credentials. `on_change` is awaited after each committed change of them."""

    def __init__(
        self, store: CredentialStore, clock: Clock, on_change: Callable[[], Awaitable[None]]
    ) -> None:
        self._store = store
        self._clock = clock
        self._on_change = on_change

    async def WhoAmI(self, request: pb.WhoAmIRequest, context: Context) -> pb.WhoAmIResponse:
        peer = peer_of(context)
        return pb.WhoAmIResponse(
            actor=peer.actor,
            roles=role_numbers(peer.roles or EVERYBODY),
            host_ids=sorted(peer.host_ids),
        )

    async def CreateToken(
        self, request: pb.CreateTokenRequest, context: Context
    ) -> pb.CreateTokenResponse:
        grant = read_grant(request, CredentialKind.TOKEN, self._clock.now())
        actor = peer_of(context).actor
        made, token = await self._store.create_token(grant, actor, "IdentityService/CreateToken")
        await self._tell()
        return pb.CreateTokenResponse(credential=credential_to_stub(made), token=token)

    async def GrantCertificate(
        self, request: pb.GrantCertificateRequest, context: Context
    ) -> pb.GrantCertificateResponse:
        grant = read_grant(request, CredentialKind.CERTIFICATE, self._clock.now())
        granted = await self._store.grant_certificate(
            grant, peer_of(context).actor, "IdentityService/GrantCertificate"
        )
        await self._tell()
        return pb.GrantCertificateResponse(credential=credential_to_stub(granted))

    async def ListCredentials(
        self, request: pb.ListCredentialsRequest, context: Context
    ) -> pb.ListCredentialsResponse:
        found = Violations()
        size = read_page_size(found, "page_size", request.page_size)
        scope = f"ListCredentials {request.include_ended}".encode()
        before = _read_place(found, request.page_token, scope)
        found.raise_if_any()
        listed = await self._store.list_page(
            include_ended=request.include_ended, before=before, limit=size + 1
        )
        response = pb.ListCredentialsResponse(credentials=map(credential_to_stub, listed[:size]))
        if len(listed) > size:
            response.next_page_token = page_token(scope, [str(listed[size - 1].credential_id)])
        return response

    async def RevokeCredential(
        self, request: pb.RevokeCredentialRequest, context: Context
    ) -> pb.RevokeCredentialResponse:
        found = Violations()
        credential_id = read_uuid(found, "credential_id", request.credential_id) or UUID(int=0)
        found.raise_if_any()
        ended, is_changed = await self._store.revoke(
            credential_id, peer_of(context).actor, "IdentityService/RevokeCredential"
        )
        await self._tell()
        return pb.RevokeCredentialResponse(credential=credential_to_stub(ended), changed=is_changed)

    async def ListAuditEntries(
        self, request: pb.ListAuditEntriesRequest, context: Context
    ) -> pb.ListAuditEntriesResponse:
        found = Violations()
        wanted = _read_filter(found, request)
        size = read_page_size(found, "page_size", request.page_size)
        scope = f"ListAuditEntries {wanted}".encode()
        before = _read_place(found, request.page_token, scope)
        found.raise_if_any()
        listed = await self._store.list_audit(wanted, before=before, limit=size + 1)
        response = pb.ListAuditEntriesResponse(entries=map(entry_to_stub, listed[:size]))
        if len(listed) > size:
            response.next_page_token = page_token(scope, [str(listed[size - 1].entry_id)])
        return response

    async def _tell(self) -> None:
        try:
            await self._on_change()
        except TocsinError:  # it is committed, and will be known as soon as the database answers
            return


def add_identity_service(
    server: grpc.aio.Server,
    store: CredentialStore,
    clock: Clock,
    on_change: Callable[[], Awaitable[None]],
) -> None:
    """Serve tocsin.api.auth.v1.IdentityService."""
    add_IdentityServiceServicer_to_server(IdentityService(store, clock, on_change), server)


def _read_filter(found: Violations, request: pb.ListAuditEntriesRequest) -> AuditFilter:
    check_text(found, "actor", request.actor, most=ID_CHARACTERS)
    check_text(found, "method", request.method, most=ID_CHARACTERS)
    since = None
    if request.HasField("since"):
        since = read_timestamp(found, "since", request.since)
    return AuditFilter(request.actor, request.method, since)


def _read_place(found: Violations, token: str, scope: bytes) -> UUID | None:
    place = read_page_token(found, "page_token", token, scope, parts=1)
    if place is None:
        return None
    try:
        return UUID(place[0])
    except ValueError:
        note_made_up(found, "page_token")
        return None
