"""The channel: one way to tell people. Configuration and secrets are kept apart."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

ROTATION = timedelta(hours=24)
"""How long a former signing secret signs beside the new one."""


class ChannelType(StrEnum):
    """How a channel sends."""

    WEBHOOK = "webhook"
    EMAIL = "email"
    CONSOLE = "console"


class EmailSecurity(StrEnum):
    """How the connection to the mail server is protected."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class WebhookConfig:
    """Where a webhook goes. `previous_secret_expire_time`: until when the former secret signs."""

    url: str
    previous_secret_expire_time: datetime | None = None

    def signing_secrets(self, secrets: Secrets, now: datetime) -> tuple[str, ...]:
        """Return the secrets that sign at `now`: the current one first, then a former one."""
        expire_time = self.previous_secret_expire_time
        if not secrets.previous_signing_secret or expire_time is None or now >= expire_time:
            return (secrets.signing_secret,)
        return (secrets.signing_secret, secrets.previous_signing_secret)


@dataclass(frozen=True, slots=True)
class EmailConfig:
    """Which server sends the mail, and to whom."""

    smtp_host: str
    smtp_port: int
    security: EmailSecurity
    username: str
    from_address: str
    to_addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ConsoleConfig:
    """A console has no settings."""


ChannelConfig = WebhookConfig | EmailConfig | ConsoleConfig


@dataclass(frozen=True, slots=True, repr=False)
class Secrets:
    """What is sealed at rest and never shown: not even by repr."""

    signing_secret: str = ""
    previous_signing_secret: str = ""
    password: str = ""


def rotate(
    config: WebhookConfig, secrets: Secrets, signing_secret: str, now: datetime
) -> tuple[WebhookConfig, Secrets]:
    """Sign with another secret from `now` on; the former one signs too for 24 h.

    The secret that already signs changes nothing.
    """
    former = secrets.signing_secret
    if signing_secret == former:
        return config, secrets
    expire_time = now + ROTATION if former else None
    return (
        replace(config, previous_secret_expire_time=expire_time),
        replace(secrets, signing_secret=signing_secret, previous_signing_secret=former),
    )


def type_of(config: ChannelConfig) -> ChannelType:
    """Return the type of the channels that have such a configuration."""
    match config:
        case WebhookConfig():
            return ChannelType.WEBHOOK
        case EmailConfig():
            return ChannelType.EMAIL
        case ConsoleConfig():
            return ChannelType.CONSOLE


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel without its secrets."""

    channel_id: UUID
    display_name: str
    type: ChannelType
    config: ChannelConfig
    enabled: bool
    disabled_reason: str
    version: int
    create_time: datetime
    update_time: datetime
    has_secrets: bool
