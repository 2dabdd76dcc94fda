"""TLS of a server, from files that may change under it: each handshake takes the newest."""

from __future__ import annotations

import ssl
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc
import structlog

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_log = structlog.get_logger(__name__)

Stamp = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where a server's certificate (with its chain) and key are, as PEM.

    `client_ca`: the authorities whose client certificates are trusted; None where none are.
    """

    certificate: Path
    key: Path
    client_ca: Path | None = None

    def paths(self) -> Iterable[Path]:
        return filter(None, (self.certificate, self.key, self.client_ca))


class ServerTls:
    """The certificates that a server presents and trusts.

    Files are looked at, for each handshake, for a change; what was read last holds while they
    cannot be used, as in the middle of a renewal, and the log says so once for each change.
    """

    def __init__(self, files: TlsFiles) -> None:
        """Read the files. Raises ValueError that says which one cannot be used and why."""
        self._files = files
        self._seen = _stamp(files)
        self._trusting = _read(files, clients=True)
        self._plain = _read(files, clients=False)
        self._lock = threading.Lock()  # gRPC asks from threads of its own

    def credentials(self, *, clients: bool) -> grpc.ServerCredentials:
        """Return what a port is opened with. `clients`: they must show a certificate."""

        def newest() -> grpc.ServerCertificateConfiguration:
            with self._lock:
                self._look()
                return self._trusting if clients else self._plain

        return grpc.dynamic_ssl_server_credentials(
            newest(), newest, require_client_authentication=clients
        )

    def _look(self) -> None:
        seen = _stamp(self._files)
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self._trusting, self._plain = (
                _read(self._files, clients=True),
                _read(self._files, clients=False),
            )
        except ValueError as error:
            _log.error("tls_files_unusable", error=str(error), doing="keeping the former ones")
        else:
            _log.info("tls_files_renewed", certificate=str(self._files.certificate))


def _stamp(files: TlsFiles) -> Stamp:
    stamps = list[tuple[int, int, int]]()
    for path in files.paths():
        try:
            stat = path.stat()
            stamps.append((stat.st_mtime_ns, stat.st_size, stat.st_ino))
        except OSError:
            stamps.append((0, 0, 0))
    return tuple(stamps)


def _read(files: TlsFiles, *, clients: bool) -> grpc.ServerCertificateConfiguration:
    _check(files)
    roots = files.client_ca.read_bytes() if clients and files.client_ca else None
    pair = files.key.read_bytes(), files.certificate.read_bytes()
    return grpc.ssl_server_certificate_configuration([pair], roots)


def _check(files: TlsFiles) -> None:
    """Raise ValueError for what gRPC would only fail handshakes with."""
    for path in files.paths():
        try:
            path.read_bytes()
        except OSError as error:
            raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # A key with a passphrase would make OpenSSL ask for it on the terminal.
        context.load_cert_chain(files.certificate, files.key, password=_no_passphrase)
    except (ssl.SSLError, ValueError) as error:
        raise ValueError(
            f"{files.certificate} and {files.key} are no certificate with its key in PEM, without "
            f"a passphrase ({_why(error)})"
        ) from None
    if files.client_ca is None:
        return
    try:
        context.load_verify_locations(files.client_ca)
    except ssl.SSLError as error:
        raise ValueError(
            f"{files.client_ca} holds no certificates in PEM ({_why(error)})"
        ) from None


def _no_passphrase() -> str:
    raise ValueError("the key has a passphrase")


def _why(error: Exception) -> str:
    reason = getattr(error, "reason", None) or str(error)
    return str(reason).lower().replace("_", " ")
