"""Gotify: push messages by a server of one's own (https://gotify.net/docs/pushmsg)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tocsin.notify.channels.forms import ADDRESS, PEOPLE_RATE, TOKEN_CHARACTERS, URL_CHARACTERS
from tocsin.notify.channels.http import json_request
from tocsin.notify.channels.words import words
from tocsin.notify.domain.channel import Channel, ChannelType, GotifyConfig, Secrets
from tocsin.notify.domain.channel_type import ChannelSpec, ConfigField, ConfigFieldType
from tocsin.notify.domain.notification import Severity

if TYPE_CHECKING:
    from tocsin.notify.channels.http import GuardedHttp
    from tocsin.notify.channels.words import Words
    from tocsin.notify.domain.delivery import Receipt
    from tocsin.notify.domain.notice import Message

SPEC = ChannelSpec(
    type=ChannelType.GOTIFY,
    display_name="Gotify",
    description="Push messages to telephones and browsers by a Gotify server.",
    fields=(
        ConfigField(
            "server_url",
            ConfigFieldType.URL,
            "The server.",
            required=True,
            min=1,
            max=URL_CHARACTERS,
            pattern=ADDRESS,
        ),
        ConfigField(
            "token",
            ConfigFieldType.STRING,
            "The token of an application.",
            required=True,
            min=1,
            max=TOKEN_CHARACTERS,
            secret_name="token",  # noqa: S106 - the name of a field
            follows="server_url",
        ),
    ),
    carries_digests=True,
    tracks_state=False,
    deduplicates=False,
    default_rate_limit=PEOPLE_RATE,
)

_MESSAGE_CHARACTERS = 10_000
# Of 4 and more a telephone makes a sound, of 8 and more it shows the message at once.
_PRIORITIES = {Severity.INFO: 2, Severity.WARNING: 5, Severity.CRITICAL: 8}


class GotifySender:
    """Sends plain text. The severity is the priority."""

    def __init__(self, http: GuardedHttp) -> None:
        self._http = http

    async def send(self, message: Message, channel: Channel, secrets: Secrets) -> Receipt:
        if not isinstance(channel.config, GotifyConfig):
            raise TypeError(f"not a Gotify channel: {channel.type}")
        url = channel.config.server_url.rstrip("/") + "/message"
        headers = {"x-gotify-key": secrets.token}
        return await self._http.call(json_request(url, _message(words(message)), headers), secrets)

    async def close(self) -> None:
        """Nothing is held open between attempts."""


def _message(told: Words) -> dict[str, Any]:
    return {
        "title": told.title,
        # It must not be empty.
        "message": "\n".join(told.fitted(_MESSAGE_CHARACTERS)) or told.title,
        "priority": _PRIORITIES[told.severity],
        # Else it may be shown as Markdown.
        "extras": {"client::display": {"contentType": "text/plain"}},
    }
