"""The channel: one way to tell people. Configuration and secrets are kept apart."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

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
    NTFY = "ntfy"
    SLACK = "slack"
    DISCORD = "discord"
    TEAMS = "teams"
    TELEGRAM = "telegram"
    GOTIFY = "gotify"
    PAGERDUTY = "pagerduty"
    HEALTHCHECKS = "healthchecks"
    ALERTMANAGER = "alertmanager"
    APPRISE = "apprise"


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


@dataclass(frozen=True, slots=True)
class NtfyConfig:
    """A topic of an ntfy server. `Secrets.token` is the access token, if any."""

    server_url: str
    topic: str


@dataclass(frozen=True, slots=True)
class SlackConfig:
    """An incoming webhook: `Secrets.url`."""


@dataclass(frozen=True, slots=True)
class DiscordConfig:
    """A webhook: `Secrets.url`."""


@dataclass(frozen=True, slots=True)
class TeamsConfig:
    """A workflow's webhook: `Secrets.url`."""


@dataclass(frozen=True, slots=True)
class TelegramConfig:
    """A chat that a bot writes to. `Secrets.token` is that of the bot; thread 0 means none."""

    chat_id: str
    message_thread_id: int
    api_url: str


@dataclass(frozen=True, slots=True)
class GotifyConfig:
    """A Gotify server. `Secrets.token` is that of the application."""

    server_url: str


@dataclass(frozen=True, slots=True)
class PagerDutyConfig:
    """Where events go. `Secrets.token` is the routing key."""

    events_url: str


@dataclass(frozen=True, slots=True)
class HealthchecksConfig:
    """A check: `Secrets.url` is its ping URL."""


@dataclass(frozen=True, slots=True)
class AlertmanagerConfig:
    """An Alertmanager. `Secrets.token` is a bearer token, `Secrets.password` goes with username."""

    url: str
    username: str


@dataclass(frozen=True, slots=True)
class AppriseConfig:
    """Apprise URLs: `Secrets.urls`, of which there are `url_count`."""

    url_count: int


ChannelConfig = (
    WebhookConfig
    | EmailConfig
    | ConsoleConfig
    | NtfyConfig
    | SlackConfig
    | DiscordConfig
    | TeamsConfig
    | TelegramConfig
    | GotifyConfig
    | PagerDutyConfig
    | HealthchecksConfig
    | AlertmanagerConfig
    | AppriseConfig
)

_TYPES: Final[dict[type, ChannelType]] = {
    WebhookConfig: ChannelType.WEBHOOK,
    EmailConfig: ChannelType.EMAIL,
    ConsoleConfig: ChannelType.CONSOLE,
    NtfyConfig: ChannelType.NTFY,
    SlackConfig: ChannelType.SLACK,
    DiscordConfig: ChannelType.DISCORD,
    TeamsConfig: ChannelType.TEAMS,
    TelegramConfig: ChannelType.TELEGRAM,
    GotifyConfig: ChannelType.GOTIFY,
    PagerDutyConfig: ChannelType.PAGERDUTY,
    HealthchecksConfig: ChannelType.HEALTHCHECKS,
    AlertmanagerConfig: ChannelType.ALERTMANAGER,
    AppriseConfig: ChannelType.APPRISE,
}
CONFIG_CLASSES: Final[dict[ChannelType, type]] = {kind: of for of, kind in _TYPES.items()}
"""The class of the configuration of each type."""


@dataclass(frozen=True, slots=True, repr=False)
class Secrets:
    """What is sealed at rest and never shown: not even by repr."""

    signing_secret: str = ""
    previous_signing_secret: str = ""
    password: str = ""
    token: str = ""
    url: str = ""
    # Several URLs, with line breaks between them.
    urls: str = ""


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
    return _TYPES[type(config)]


@dataclass(frozen=True, slots=True)
class RateLimit:
    """A token bucket of `burst` tokens, of which one comes back each `refill_period`.

    `burst` 0 means no limit.
    """

    burst: int
    refill_period: timedelta


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
    # None: the default of its type.
    rate_limit: RateLimit | None = None
