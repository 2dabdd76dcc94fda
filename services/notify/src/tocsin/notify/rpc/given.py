"""A channel as a caller gave it: nothing of it is checked yet."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from google.protobuf.duration_pb2 import Duration

    from tocsin.notify.domain.channel import ChannelType

    Value = str | int | tuple[str, ...]


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
class GivenForm:
    """The configuration of a type without rules of its own: the fields of its description."""

    type: ChannelType
    values: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GivenRateLimit:
    """`refill_period` is None when unset."""

    burst: int
    refill_period: Duration | None = None


@dataclass(frozen=True, slots=True, repr=False)
class GivenChannel:
    """`version` is 0 when unset. `config` is None when none of the oneof is set."""

    channel_id: str
    display_name: str
    enabled: bool
    version: int
    config: GivenWebhook | GivenEmail | GivenForm | None
    rate_limit: GivenRateLimit | None = None

    @property
    def webhook(self) -> GivenWebhook:
        """The webhook's configuration, an empty one when there is none."""
        return self.config if isinstance(self.config, GivenWebhook) else GivenWebhook()

    @property
    def email(self) -> GivenEmail:
        """The configuration for e-mail, an empty one when there is none."""
        return self.config if isinstance(self.config, GivenEmail) else GivenEmail()

    def form(self, channel_type: ChannelType) -> GivenForm:
        """The configuration for that type, an empty one when there is none."""
        if isinstance(self.config, GivenForm) and self.config.type is channel_type:
            return self.config
        return GivenForm(channel_type)

    def value(self, path: str) -> Value:
        """Return the field inside of the configuration at a path such as `ntfy.token`."""
        group, _, name = path.partition(".")
        match self.config:
            case GivenForm() if self.config.type == group:
                return self.config.values.get(name, "")
            case GivenWebhook() if group == "webhook":
                return str(getattr(self.config, name))
            case GivenEmail() if group == "email":
                value: Value = getattr(self.config, name)
                return value
            case _:
                return ""
