"""What the descriptions of several types of channels have in common."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from tocsin.notify.domain.channel import RateLimit
from tocsin.notify.domain.channel_type import ConfigField, ConfigFieldType

URL_CHARACTERS: Final = 2_048
TOKEN_CHARACTERS: Final = 256

ADDRESS: Final = "[^?#]*"
"""The pattern of a server's URL, to which paths are added."""

PEOPLE_RATE: Final = RateLimit(burst=10, refill_period=timedelta(seconds=30))
"""How many messages people are sent when nothing else is set: what overflows becomes a digest.

It stays well below what the services allow.
"""


def secret_url(name: str, description: str) -> ConfigField:
    """Describe a URL that is a secret as a whole, since whoever knows it may send."""
    return ConfigField(
        name,
        ConfigFieldType.URL,
        description,
        required=True,
        min=1,
        max=URL_CHARACTERS,
        secret_name="url",  # noqa: S106 - the name of a field
    )
