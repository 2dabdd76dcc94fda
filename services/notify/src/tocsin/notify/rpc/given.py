"""A channel as a caller gave it: nothing of it is checked yet."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, repr=False)
class GivenWebhook:
    url: str = ""
    signing_secret: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class GivenEmail:
    """`security` is the number of the contract's enum, 0 when unset."""

    smtp_host: str = ""
    smtp_port: int = 0
    security: int = 0
    username: str = ""
    password: str = ""
    from_address: str = ""
    to_addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, repr=False)
class GivenConsole:
    pass


@dataclass(frozen=True, slots=True, repr=False)
class GivenChannel:
    """`version` is 0 when unset. `config` is None when none of the oneof is set."""

    channel_id: str
    display_name: str
    enabled: bool
    version: int
    config: GivenWebhook | GivenEmail | GivenConsole | None

    @property
    def webhook(self) -> GivenWebhook:
        """The webhook's configuration, an empty one when there is none."""
        return self.config if isinstance(self.config, GivenWebhook) else GivenWebhook()

    @property
    def email(self) -> GivenEmail:
        """The configuration for e-mail, an empty one when there is none."""
        return self.config if isinstance(self.config, GivenEmail) else GivenEmail()
