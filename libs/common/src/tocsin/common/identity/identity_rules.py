"""Who may call what every service has: health, reflection, and the keeping of credentials."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.common.identity.roles import ANYBODY, EVERYBODY, Role, Rule, only
from tocsin.common.rpc.reflection import V1, V1ALPHA

if TYPE_CHECKING:
    from collections.abc import Mapping

IDENTITY_SERVICE = "tocsin.api.auth.v1.IdentityService"

IDENTITY_RULES: Mapping[str, Rule] = {
    # Whoever runs a server asks for its health, and has no token.
    "/grpc.health.v1.Health/Check": ANYBODY,
    "/grpc.health.v1.Health/List": ANYBODY,
    "/grpc.health.v1.Health/Watch": ANYBODY,
    f"/{V1}/ServerReflectionInfo": only(Role.OPERATOR),
    f"/{V1ALPHA}/ServerReflectionInfo": only(Role.OPERATOR),
    f"/{IDENTITY_SERVICE}/WhoAmI": Rule(EVERYBODY, names_hosts=True),
    f"/{IDENTITY_SERVICE}/CreateToken": only(Role.ADMIN),
    f"/{IDENTITY_SERVICE}/GrantCertificate": only(Role.ADMIN),
    f"/{IDENTITY_SERVICE}/ListCredentials": only(Role.ADMIN),
    f"/{IDENTITY_SERVICE}/RevokeCredential": only(Role.ADMIN),
    f"/{IDENTITY_SERVICE}/ListAuditEntries": only(Role.ADMIN),
}
"""Part of the one table of each service, by the full names of the methods."""
