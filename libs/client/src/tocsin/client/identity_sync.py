"""The blocking client of credentials and of the audit trail, which both services have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.api.auth.v1 import identity_service_pb2 as pb
from tocsin.api.auth.v1.credential_pb2 import Role
from tocsin.api.auth.v1.identity_service_pb2_grpc import IdentityServiceStub
from tocsin.client.calls import SyncCalls
from tocsin.client.retry import single_attempt
from tocsin.client.values import enum_values, timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime
    from uuid import UUID

    import grpc

    from tocsin.api.auth.v1.audit_pb2 import AuditEntry
    from tocsin.api.auth.v1.credential_pb2 import Credential
    from tocsin.client.retry import RetryPolicy
    from tocsin.common.rpc.client_credentials import ClientCredentials


class SyncIdentityClient(SyncCalls):
    """Makes, lists and revokes credentials of one service, and lists what people changed there.

    Threads may share one. Every method raises CallError. What is not idempotent (making a
    credential) is tried once. Roles are given by name (`operator`) or number.

    Example:
        >>> with SyncIdentityClient("127.0.0.1:7070") as identity:
        ...     made = identity.create_token("nightly", ["orchestrator"], host_ids=["web-1"])
        ...     keep(made.token)
    """

    def __init__(
        self,
        target: str | grpc.Channel,
        *,
        retry: RetryPolicy | None = None,
        credentials: ClientCredentials | None = None,
    ) -> None:
        super().__init__(target, retry=retry, credentials=credentials)
        self._once = single_attempt(self._retry)
        self._stub = IdentityServiceStub(self.channel)

    def who_am_i(self) -> pb.WhoAmIResponse:
        """Return who this client is to the service, and what it may do."""
        return self._call(self._stub.WhoAmI, pb.WhoAmIRequest())

    def create_token(
        self,
        name: str,
        roles: Iterable[str | int],
        *,
        host_ids: Iterable[str] = (),
        expire_time: datetime | None = None,
    ) -> pb.CreateTokenResponse:
        """Make a token. The answer has it, for the only time."""
        request = pb.CreateTokenRequest(
            name=name,
            roles=enum_values("roles", Role, roles),
            host_ids=host_ids,
            expire_time=timestamp("expire_time", expire_time),
        )
        return self._call(self._stub.CreateToken, request, self._once)

    def grant_certificate(
        self,
        name: str,
        roles: Iterable[str | int],
        *,
        host_ids: Iterable[str] = (),
        expire_time: datetime | None = None,
    ) -> Credential:
        """Say what the bearer of a certificate may do. Raises AlreadyExistsError."""
        request = pb.GrantCertificateRequest(
            name=name,
            roles=enum_values("roles", Role, roles),
            host_ids=host_ids,
            expire_time=timestamp("expire_time", expire_time),
        )
        return self._call(self._stub.GrantCertificate, request, self._once).credential

    def list_credentials(
        self, *, include_ended: bool = False, page_size: int = 0
    ) -> Iterator[Credential]:
        """Walk over the credentials, the latest made first."""
        request = pb.ListCredentialsRequest(include_ended=include_ended, page_size=page_size)
        for page in self._pages(self._stub.ListCredentials, request):
            yield from page.credentials

    def revoke_credential(self, credential_id: str | UUID) -> pb.RevokeCredentialResponse:
        """End a credential, for good. Raises NotFoundError."""
        request = pb.RevokeCredentialRequest(credential_id=str(credential_id))
        return self._call(self._stub.RevokeCredential, request)

    def list_audit_entries(
        self,
        *,
        actor: str = "",
        method: str = "",
        since: datetime | None = None,
        page_size: int = 0,
    ) -> Iterator[AuditEntry]:
        """Walk over what people changed, the latest first."""
        request = pb.ListAuditEntriesRequest(
            actor=actor, method=method, since=timestamp("since", since), page_size=page_size
        )
        for page in self._pages(self._stub.ListAuditEntries, request):
            yield from page.entries
