"""Who may call a service, and how: these settings are a part of those of each."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from tocsin.common.config import ListenAddress, ServiceSettings, variable
from tocsin.common.rpc.addresses import clashes
from tocsin.common.rpc.loopback import listens_on_loopback
from tocsin.common.rpc.tls import ServerTls, TlsFiles


class SecuritySettings(ServiceSettings):
    """Encryption, and the proof of identity. `listen` is a field of whoever has these."""

    tls_certificate_file: Path | None = Field(
        default=None,
        description="The certificate of this server with its chain, as PEM. Read again for the "
        "next connection when it changes. Unset: connections are not encrypted, which is for an "
        "address on loopback only.",
    )
    tls_key_file: Path | None = Field(
        default=None, description="The key of that certificate, as PEM, without a passphrase."
    )
    tls_client_ca_file: Path | None = Field(
        default=None,
        description="The authorities of client certificates, as PEM. With it every connection "
        "must show a certificate; a call may bear a token as well, which then counts.",
    )
    certified_listen: ListenAddress | None = Field(
        default=None,
        description="A second address, host:port, where connections must show a client "
        "certificate; then they need none on the first one, and prove themselves by tokens.",
        examples=["0.0.0.0:7443"],
    )
    insecure_dev: bool = Field(
        default=False,
        description="Whether everybody may do everything, without any proof. For trying things "
        "out on one machine: the service must listen on loopback.",
    )
    reflection: bool = Field(
        default=True,
        description="Whether callers with the role operator may list and describe the services, "
        "as grpcurl does.",
    )
    audit_retention_days: float = Field(
        default=400,
        ge=1,
        le=36_500,
        description="How many days what people changed is kept in the audit trail.",
    )

    @model_validator(mode="after")
    def _is_safe(self) -> Any:
        problems = list(self._problems())
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def _problems(self) -> list[str]:
        found = [*self._files_missing(), *self._too_open(), *self._clashing()]
        if not found and self.tls_certificate_file is not None:
            try:
                self.server_tls()
            except ValueError as error:
                found.append(f"{self._named('tls_certificate_file')}: {error}")
        return found

    def _files_missing(self) -> list[str]:
        certificate, key = self._named("tls_certificate_file"), self._named("tls_key_file")
        client_ca = self._named("tls_client_ca_file")
        found = list[str]()
        if (self.tls_certificate_file is None) != (self.tls_key_file is None):
            found.append(f"{certificate} and {key} go together; set both, or none")
        elif self.tls_certificate_file is None and self.tls_client_ca_file is not None:
            found.append(f"{client_ca}: needs {certificate} and {key}; set them, too")
        if self.certified_listen is not None and self.tls_client_ca_file is None:
            listen = self._named("certified_listen")
            found.append(f"{listen}: needs {client_ca}, to know which certificates to trust")
        return found

    def _too_open(self) -> list[str]:
        listen = str(getattr(self, "listen", ""))
        named, dev = self._named("listen"), self._named("insecure_dev")
        if self.insecure_dev and self.tls_certificate_file is not None:
            certificate = self._named("tls_certificate_file")
            return [f"{dev}: lets everybody in, and {certificate} is set; set only one of them"]
        if listens_on_loopback(listen) or self.tls_certificate_file is not None:
            return []
        if self.insecure_dev:
            return [f"{dev}: is for a service on loopback, and {named} is not; write 127.0.0.1"]
        files = f"{self._named('tls_certificate_file')} and {self._named('tls_key_file')}"
        said = "is no address on loopback, and tokens would cross the network in the clear"
        return [f"{named}: {said}; set {files}, or listen on 127.0.0.1"]

    def _clashing(self) -> list[str]:
        fields = ("listen", "certified_listen", "health_listen", "metrics_listen")
        addresses = {self._named(field): getattr(self, field, None) for field in fields}
        return [
            f"{name}: would listen on the same port as {other}; give each a port of its own"
            for other, name in clashes(addresses)
        ]

    def _named(self, field: str) -> str:
        return variable(type(self), field)

    def server_tls(self) -> ServerTls | None:
        """Return what the server presents and trusts; None without encryption.

        Raises ValueError for files that cannot be used.
        """
        if self.tls_certificate_file is None or self.tls_key_file is None:
            return None
        files = TlsFiles(self.tls_certificate_file, self.tls_key_file, self.tls_client_ca_file)
        return ServerTls(files)

    @property
    def clients_certified(self) -> bool:
        """Whether callers must show a certificate on the first address."""
        return self.tls_client_ca_file is not None and self.certified_listen is None

    @property
    def audit_retention(self) -> timedelta:
        return timedelta(days=self.audit_retention_days)
