"""The description of channels that send mail."""

from __future__ import annotations

from tocsin.notify.channels.forms import PEOPLE_RATE, TOKEN_CHARACTERS
from tocsin.notify.domain.channel import ChannelType
from tocsin.notify.domain.channel_type import ChannelSpec, ConfigField, ConfigFieldType

_HOST_CHARACTERS = 253
_ADDRESS_CHARACTERS = 254

SPEC = ChannelSpec(
    type=ChannelType.EMAIL,
    display_name="E-mail",
    description="Mails by SMTP. All messages about one alert make one thread.",
    fields=(
        ConfigField(
            "smtp_host",
            ConfigFieldType.STRING,
            "The mail server's name or address.",
            required=True,
            min=1,
            max=_HOST_CHARACTERS,
        ),
        ConfigField(
            "smtp_port",
            ConfigFieldType.INTEGER,
            "Its port. 0 means the usual one: 587 for STARTTLS, 465 for TLS, 25 for NONE.",
            max=65_535,
            default="0",
        ),
        ConfigField(
            "security",
            ConfigFieldType.CHOICE,
            "How the connection is protected. Clear text takes no password.",
            choices=("EMAIL_SECURITY_STARTTLS", "EMAIL_SECURITY_TLS", "EMAIL_SECURITY_NONE"),
            default="EMAIL_SECURITY_STARTTLS",
        ),
        ConfigField(
            "username",
            ConfigFieldType.STRING,
            "For the login, together with the password. Unset: no login.",
            max=TOKEN_CHARACTERS,
        ),
        ConfigField(
            "password",
            ConfigFieldType.STRING,
            "For the login, together with the user name.",
            max=TOKEN_CHARACTERS,
            secret_name="password",  # noqa: S106 - the name of a field
            follows="smtp_host",
        ),
        ConfigField(
            "from_address",
            ConfigFieldType.EMAIL,
            "The sender.",
            required=True,
            min=1,
            max=_ADDRESS_CHARACTERS,
        ),
        ConfigField(
            "to_addresses",
            ConfigFieldType.EMAIL,
            "Who gets it.",
            required=True,
            repeated=True,
            min=1,
            max=50,
        ),
    ),
    carries_digests=True,
    tracks_state=False,
    deduplicates=False,
    default_rate_limit=PEOPLE_RATE,
)
