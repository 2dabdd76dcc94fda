"""What a client proves itself by, and whom it trusts."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import grpc

from tocsin.common.identity.tokens import is_token
from tocsin.common.rpc.loopback import is_loopback
from tocsin.common.secret_files import read_secret_file

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class CredentialsError(ValueError):
    """Credentials that cannot be used; the message says which, why, and what to do."""


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """A bearer token or the file that holds it, and the files of TLS, as PEM.

    `ca_file`: the authorities that may vouch for the server; with it, or with a certificate of
    the client's own, the connection is encrypted. All files are read again when they change:
    those of TLS for the next call, which begins on a new connection then.
    """

    token: str = field(default="", repr=False)
    token_file: Path | None = None
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None

    @classmethod
    def from_environment(
        cls, service: str = "", environment: Mapping[str, str] = os.environ
    ) -> ClientCredentials:
        """Return what TOCSIN_TOKEN, TOCSIN_TOKEN_FILE and TOCSIN_TLS_… give.

        Of a service, ALERT or NOTIFY, TOCSIN_ALERT_TOKEN and TOCSIN_ALERT_TOKEN_FILE win over the
        first two: each service has tokens of its own.
        """

        def path(name: str) -> Path | None:
            given = environment.get(name)
            return Path(given) if given else None

        own = f"TOCSIN_{service}_TOKEN"
        names = (own, f"{own}_FILE")
        name = own if service and any(map(environment.get, names)) else "TOCSIN_TOKEN"
        return cls(
            token=environment.get(name, "").strip(),
            token_file=path(f"{name}_FILE"),
            ca_file=path("TOCSIN_TLS_CA_FILE"),
            certificate_file=path("TOCSIN_TLS_CERTIFICATE_FILE"),
            key_file=path("TOCSIN_TLS_KEY_FILE"),
        )

    @property
    def is_encrypted(self) -> bool:
        """Whether connections are made by TLS."""
        return any((self.ca_file, self.certificate_file, self.key_file))

    @property
    def has_token(self) -> bool:
        """Whether calls bear a token."""
        return bool(self.token or self.token_file)

    def check(self, target: str, *, ca_named: str = "TOCSIN_TLS_CA_FILE") -> None:
        """Raise CredentialsError for what cannot be right, or must not be sent to a target.

        `ca_named` is the setting that gives `ca_file`.
        """
        if self.token and self.token_file:
            raise CredentialsError("a token and a file of a token are given; give one of them")
        if self.token and not is_token(self.token):
            raise CredentialsError(
                "what is given is no token; write it whole: tocsin_ and 43 characters"
            )
        if bool(self.certificate_file) != bool(self.key_file):
            raise CredentialsError("a certificate and its key go together; give both or none")
        if self.has_token and not self.is_encrypted and not is_loopback(target):
            raise CredentialsError(
                f"a token is not sent in the clear to {target}: name the authority of the "
                f"server's certificate ({ca_named}), or call a server on this machine"
            )

    def tls(self) -> grpc.ChannelCredentials:
        """Return gRPC's credentials of the files. Raises CredentialsError."""
        _check_pair(self.certificate_file, self.key_file)
        try:
            return grpc.ssl_channel_credentials(
                _content(self.ca_file), _content(self.key_file), _content(self.certificate_file)
            )
        except OSError as error:
            raise CredentialsError(f"{error.filename} cannot be read: {error.strerror}") from None

    def tls_stamp(self) -> tuple[object, ...]:
        """Return what changes when a file of TLS does."""
        paths = (self.ca_file, self.certificate_file, self.key_file)
        return tuple(_stamp_or_none(path) for path in paths if path is not None)

    def header(self) -> Callable[[], tuple[tuple[str, str], ...]]:
        """Return what gives the metadata of each call. Raises CredentialsError."""
        if self.token_file is not None:
            return _TokenFile(self.token_file).header
        fixed = _header(self.token)
        return lambda: fixed


class _TokenFile:
    """A token in a file, read again when it changes; what was read last holds meanwhile."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._stamp = _stamp(path)
            self._header = _header(_read_token(path))
        except OSError as error:
            raise CredentialsError(f"{path} cannot be read: {error.strerror}") from None
        except ValueError as error:
            raise CredentialsError(str(error)) from None

    def header(self) -> tuple[tuple[str, str], ...]:
        try:
            stamp = _stamp(self._path)
            if stamp != self._stamp:
                self._header = _header(_read_token(self._path))
                self._stamp = stamp
        except (OSError, ValueError):
            pass  # it is being replaced
        return self._header


def _stamp(path: Path) -> tuple[int, int, int]:
    stat = path.stat()
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _stamp_or_none(path: Path) -> tuple[int, int, int] | None:
    try:
        return _stamp(path)
    except OSError:
        return None


def _header(token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),)


def _read_token(path: Path) -> str:
    token = read_secret_file(path)
    if not is_token(token):
        raise ValueError(f"{path} holds no token; write it whole: tocsin_ and 43 characters")
    return token


def _check_pair(certificate: Path | None, key: Path | None) -> None:
    """Raise CredentialsError for a pair that gRPC would fail every connection with."""
    if certificate is None or key is None:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key, password=_none)
    except (OSError, ValueError) as error:
        raise CredentialsError(
            f"{certificate} and {key} are no certificate with its key in PEM, without a "
            f"passphrase ({error})"
        ) from None


def _none() -> str:
    raise ValueError("the key has a passphrase")


def _content(path: Path | None) -> bytes | None:
    return None if path is None else path.read_bytes()
