"""The admission of calls: who it is, by a token or a certificate, and whether they may."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from tocsin.common.errors import TocsinError, UnauthenticatedError
from tocsin.common.identity.certificates import names_in
from tocsin.common.identity.roles import has_right, not_listed, require_right
from tocsin.common.identity.tokens import bearer, digest_of
from tocsin.common.rpc.caller import anonymous_peer, read_metadata

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from uuid import UUID

    import grpc

    from tocsin.common.clock import Clock
    from tocsin.common.identity.credentials import Credential, Known
    from tocsin.common.identity.roles import Rule
    from tocsin.common.rpc.caller import Metadata, Peer

    Context = grpc.aio.ServicerContext[Any, Any]

MOST_HEADERS: Final = 10_000

_PLAIN = len("Bearer tocsin_") + 43


class Knowing(Protocol):
    """Knows the credentials as they are now, and is told which ones are used."""

    @property
    def known(self) -> Known: ...

    used: set[UUID]


class Gate:
    """Admits callers with a credential that the rule of the method is for.

    A call that bears a token is judged by its token; else by the client certificate of its
    connection. Nothing is asked of the database: credentials are looked up in memory.
    """

    def __init__(self, rules: Mapping[str, Rule], knowing: Knowing, *, clock: Clock) -> None:
        """`rules` are by the full names of methods, as `/package.Service/Method`."""
        self._rules = rules
        self._knowing = knowing
        self._clock = clock
        # What calls bore that were let in, so that it is read once; void when anything changes.
        self._headers_of: Known | None = None
        self._headers: dict[str, Credential] = {}

    def check_of(self, method: str) -> Callable[[Context], Peer]:
        """Return what admits callers to a method, or refuses them."""
        rule = self._rules.get(method)
        if rule is None:
            return _refusing(not_listed(method))
        if not rule.roles:
            return anonymous_peer

        def check(context: Context) -> Peer:
            header, traceparent = read_metadata(context)
            credential = self._credential(header, context)
            self._knowing.used.add(credential.credential_id)
            require_right(rule, method, credential.peer)
            return credential.peer_in(traceparent)

        return check

    def let_in_by_token(self, method: str, metadata: Metadata) -> bool:
        """Whether the headers of a call bear a token that is good now, and is for its method."""
        for key, value in metadata or ():
            if key == "authorization" and isinstance(value, str):
                rule, found = self._rules.get(method), self._bearer_of(value)
                if rule is None or found is None or self._ended(found) is not None:
                    return False
                return has_right(rule, found.peer)
        return False

    def _bearer_of(self, header: str) -> Credential | None:
        """Return the credential whose token a header bears; a digest is computed once for each."""
        known = self._knowing.known
        if known is not self._headers_of:
            self._headers_of, self._headers = known, {}
        found = self._headers.get(header)
        if found is None:
            token = bearer(header)
            found = None if token is None else known.by_digest.get(digest_of(token))
            # With blanks around its token a header may be long, and there are many such.
            if found is not None and len(header) == _PLAIN and len(self._headers) < MOST_HEADERS:
                self._headers[header] = found
        return found

    def _ended(self, found: Credential) -> UnauthenticatedError | None:
        if found.revoke_time is None and found.expire_time is None:
            return None
        return ended_error(found, self._clock.now())

    def _credential(self, header: str | None, context: Context) -> Credential:
        found = self._by_token(header) if header is not None else self._by_certificate(context)
        ended = self._ended(found)
        if ended is not None:
            raise ended
        return found

    def _by_token(self, header: str) -> Credential:
        found = self._bearer_of(header)
        if found is not None:
            return found
        if bearer(header) is None:
            raise _unauthenticated(
                "The metadata `authorization` bears no token of Tocsin. Send `Bearer ` and the "
                "token whole, as it was shown when it was made: tocsin_ and 43 characters.",
                "TOKEN_INVALID",
            )
        raise unknown_token()

    def _by_certificate(self, context: Context) -> Credential:
        known = self._knowing.known.by_certificate
        names = names_in(context.auth_context())
        for name in names:
            if (found := known.get(name)) is not None:
                return found
        if names:
            raise _unauthenticated(
                f"No role was granted to this certificate. An admin grants one to one of its "
                f"names: tocsin grant {names[0]} --role …, or send a bearer token.",
                "CERTIFICATE_UNKNOWN",
                {"names": ",".join(names)},
            )
        raise _unauthenticated(
            "This call proves no identity. Send the metadata `authorization: Bearer <token>` "
            "(`tocsin token create` makes a token), or connect with a client certificate where "
            "this server asks for one.",
            "CREDENTIAL_MISSING",
        )


def unknown_token() -> UnauthenticatedError:
    """Return the error of a token that nobody was given here."""
    return _unauthenticated(
        "This token is not known here. Each service has tokens of its own: send one that was made "
        "for this service.",
        "TOKEN_INVALID",
    )


def ended_error(credential: Credential, now: datetime) -> UnauthenticatedError | None:
    """Return why a credential is worth nothing any more; None while it is."""
    if credential.revoke_time is not None:
        return _unauthenticated(
            f"{credential.name!r} was revoked. Use another token.", "CREDENTIAL_REVOKED"
        )
    if credential.is_expired(now):
        return _unauthenticated(
            f"The time of {credential.name!r} was over at "
            f"{credential.expire_time:%Y-%m-%d %H:%M} UTC. An admin makes another one by "
            "`tocsin token create` or `tocsin grant`.",
            "CREDENTIAL_EXPIRED",
        )
    return None


def _unauthenticated(
    message: str, reason: str, metadata: dict[str, str] | None = None
) -> UnauthenticatedError:
    return UnauthenticatedError(message, reason=reason, metadata=metadata)


def _refusing(error: TocsinError) -> Callable[[Context], Peer]:
    def refuse(context: Context) -> Peer:  # noqa: ARG001 - whoever calls
        raise error

    return refuse
