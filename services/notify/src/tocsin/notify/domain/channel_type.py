"""What a type of channels can do, and what its configuration consists of: for forms and rules."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tocsin.notify.domain.channel import ChannelType, RateLimit


class ConfigFieldType(IntEnum):
    """What a field holds. The numbers are those of the contract."""

    STRING = 1
    INTEGER = 2
    URL = 3
    EMAIL = 4
    CHOICE = 5


@dataclass(frozen=True, slots=True)
class ConfigField:
    """One field of a configuration.

    `min` and `max` bound numbers, lengths in characters, or counts where it is repeated. `pattern`
    is matched as a whole. `secret_name` is the field of Secrets that keeps it, empty where it is
    none. `follows` names the field with whose change a secret must be given again, so that it goes
    to no other server than it was meant for.
    """

    name: str
    type: ConfigFieldType
    description: str
    required: bool = False
    repeated: bool = False
    min: int = 0
    max: int = 0
    pattern: str = ""
    choices: tuple[str, ...] = ()
    default: str = ""
    secret_name: str = ""
    follows: str = ""


@dataclass(frozen=True, slots=True)
class ChannelSpec:
    """One type of channels. Its meaning is that of the contract (channel_type.proto).

    `package` is the Python package that it needs beside our own, empty for none.
    """

    type: ChannelType
    display_name: str
    description: str
    fields: tuple[ConfigField, ...]
    carries_digests: bool
    tracks_state: bool
    deduplicates: bool
    default_rate_limit: RateLimit | None = None
    package: str = ""
