"""Where tocsin-alert is, and how notify proves itself to it: a part of the service's settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr, model_validator

from tocsin.common.config import ServiceSettings, Target, variable
from tocsin.common.rpc.client_credentials import ClientCredentials, CredentialsError


class AlertAccessSettings(ServiceSettings):
    """notify is a client of the alert service as any other is."""

    alert_target: Target = Field(
        default="127.0.0.1:7070",
        description="Where tocsin-alert listens, host:port.",
    )
    alert_token: SecretStr | None = Field(
        default=None,
        description="The token that notify shows to tocsin-alert. It needs the roles subscriber "
        "and orchestrator there.",
    )
    alert_token_file: Path | None = Field(
        default=None,
        description="A file that holds that token. It is read again when it changes.",
    )
    alert_ca_file: Path | None = Field(
        default=None,
        description="The authorities that may vouch for the certificate of tocsin-alert, as PEM. "
        "With it the connection is encrypted.",
    )
    alert_certificate_file: Path | None = Field(
        default=None,
        description="The client certificate that notify shows to tocsin-alert, as PEM.",
    )
    alert_key_file: Path | None = Field(
        default=None, description="The key of that certificate, as PEM, without a passphrase."
    )

    @model_validator(mode="after")
    def _can_be_used(self) -> Any:
        try:
            self.alert_credentials.check(
                self.alert_target, ca_named=variable(type(self), "alert_ca_file")
            )
            if self.alert_credentials.is_encrypted:
                self.alert_credentials.tls()
            self.alert_credentials.header()
        except CredentialsError as error:
            raise ValueError(f"TOCSIN_NOTIFY_ALERT_TOKEN and the like: {error}") from None
        return self

    @property
    def alert_credentials(self) -> ClientCredentials:
        """What notify proves itself by, and whom it trusts."""
        token = self.alert_token
        return ClientCredentials(
            token="" if token is None else token.get_secret_value().strip(),
            token_file=self.alert_token_file,
            ca_file=self.alert_ca_file,
            certificate_file=self.alert_certificate_file,
            key_file=self.alert_key_file,
        )
