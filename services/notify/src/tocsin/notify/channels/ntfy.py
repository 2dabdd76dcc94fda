"""ntfy: push messages to telephones (https://docs.ntfy.sh/publish/#publish-as-json)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tocsin.notify.channels.forms import ADDRESS, PEOPLE_RATE, TOKEN_CHARACTERS, URL_CHARACTERS
from tocsin.notify.channels.http import json_request
from tocsin.notify.channels.words import words
from tocsin.notify.domain.channel import Channel, ChannelType, NtfyConfig, Secrets
from tocsin.notify.domain.channel_type import ChannelSpec, ConfigField, ConfigFieldType
from tocsin.notify.domain.notification import Severity

if TYPE_CHECKING:
    from tocsin.notify.channels.http import GuardedHttp
    from tocsin.notify.channels.words import Words
    from tocsin.notify.domain.delivery import Receipt
    from tocsin.notify.domain.notice import Message

DEFAULT_SERVER = "https://ntfy.sh"

SPEC = ChannelSpec(
    type=ChannelType.NTFY,
    display_name="ntfy",
    description="Push messages to telephones and browsers by an ntfy server.",
    fields=(
        ConfigField(
            "server_url",
            ConfigFieldType.URL,
            "The server.",
            max=URL_CHARACTERS,
            pattern=ADDRESS,
            default=DEFAULT_SERVER,
        ),
        ConfigField(
            "topic",
            ConfigFieldType.STRING,
            "The topic. On a public server whoever knows it reads along.",
            required=True,
            min=1,
            max=64,
            pattern="[-_A-Za-z0-9]{1,64}",
        ),
        ConfigField(
            "token",
            ConfigFieldType.STRING,
            "An access token, for a topic that wants one.",
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

# A message of more than 4,096 bytes becomes a file to download, a request of more than 8,192 is
# refused; both as JSON writes it.
_MESSAGE_BYTES = 4_000
_TITLE_CHARACTERS = 250
_PRIORITIES = {Severity.INFO: 3, Severity.WARNING: 4, Severity.CRITICAL: 5}
# Names that ntfy shows as a symbol before the title.
_TAGS = {
    Severity.INFO: "information_source",
    Severity.WARNING: "warning",
    Severity.CRITICAL: "rotating_light",
}
_OVER_TAG = "white_check_mark"


class NtfySender:
    """Publishes to a topic, as plain text: ntfy parses no markup in it."""

    def __init__(self, http: GuardedHttp) -> None:
        self._http = http

    async def send(self, message: Message, channel: Channel, secrets: Secrets) -> Receipt:
        config = channel.config
        if not isinstance(config, NtfyConfig):
            raise TypeError(f"not an ntfy channel: {channel.type}")
        headers = {"authorization": f"Bearer {secrets.token}"} if secrets.token else {}
        url = (config.server_url or DEFAULT_SERVER).rstrip("/") + "/"
        request = json_request(url, _publication(config.topic, words(message)), headers)
        return await self._http.call(request, secrets)

    async def close(self) -> None:
        """Nothing is held open between attempts."""


def _publication(topic: str, told: Words) -> dict[str, Any]:
    return {
        "topic": topic,
        "title": told.title[:_TITLE_CHARACTERS],
        "message": "\n".join(told.fitted(_MESSAGE_BYTES, size=_bytes_as_json)) or told.title,
        "priority": _PRIORITIES[told.severity],
        "tags": [_OVER_TAG if told.is_over else _TAGS[told.severity]],
    }


def _bytes_as_json(text: str) -> int:
    return len(json.dumps(text, ensure_ascii=False).encode("utf-8", "replace"))
