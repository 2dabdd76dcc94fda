"""Certificates as files, as the services and their clients read them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import trustme
from cryptography import x509

from tocsin.common.rpc.client_credentials import ClientCredentials

if TYPE_CHECKING:
    from pathlib import Path


@dataclass
class Pems:
    """An authority, and what it issues, in a folder."""

    folder: Path
    authority: trustme.CA = field(default_factory=trustme.CA)

    def __post_init__(self) -> None:
        self.authority.cert_pem.write_to_path(self.ca)

    @property
    def ca(self) -> Path:
        return self.folder / "ca.pem"

    def issue(self, file: str, *names: str) -> tuple[Path, Path]:
        """Write a certificate and its key, in place of those of that file name before."""
        return self.write(file, self.authority.issue_cert(*names))

    def write(self, file: str, issued: trustme.LeafCert) -> tuple[Path, Path]:
        certificate, key = self.folder / f"{file}.pem", self.folder / f"{file}.key"
        certificate.write_bytes(b"".join(each.bytes() for each in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(key)
        return certificate, key

    def server(self, *, clients: bool = False) -> dict[str, Any]:
        """Return the settings of a server on 127.0.0.1, with a new certificate."""
        certificate, key = self.issue("server", "127.0.0.1")
        given = {"tls_certificate_file": certificate, "tls_key_file": key}
        return {**given, "tls_client_ca_file": self.ca} if clients else given

    def client(self, *names: str, token: str = "") -> ClientCredentials:
        """Return what a client trusts, and shows when it is given names."""
        if not names:
            return ClientCredentials(token=token, ca_file=self.ca)
        certificate, key = self.issue(f"client-{abs(hash(names))}", *names)
        return ClientCredentials(
            token=token, ca_file=self.ca, certificate_file=certificate, key_file=key
        )


def serial_of(pem: bytes) -> int:
    """Return the serial number of the first certificate in a PEM."""
    return x509.load_pem_x509_certificate(pem).serial_number
