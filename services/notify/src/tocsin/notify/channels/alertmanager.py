"""Alertmanager: its API v2 (POST /api/v2/alerts), so that it tells people by its own rules."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from tocsin.notify.channels.alertmanager_alerts import alerts_of
from tocsin.notify.channels.forms import ADDRESS, TOKEN_CHARACTERS, URL_CHARACTERS
from tocsin.notify.channels.http import json_request
from tocsin.notify.domain.channel import AlertmanagerConfig, Channel, ChannelType, Secrets
from tocsin.notify.domain.channel_type import ChannelSpec, ConfigField, ConfigFieldType

if TYPE_CHECKING:
    from tocsin.notify.channels.http import GuardedHttp
    from tocsin.notify.domain.delivery import Receipt
    from tocsin.notify.domain.notice import Message

SPEC = ChannelSpec(
    type=ChannelType.ALERTMANAGER,
    display_name="Alertmanager",
    description="Hands alerts to an Alertmanager, which tells people by its own rules.",
    fields=(
        ConfigField(
            "url",
            ConfigFieldType.URL,
            "Its address, without /api/v2.",
            required=True,
            min=1,
            max=URL_CHARACTERS,
            pattern=ADDRESS,
        ),
        ConfigField(
            "username",
            ConfigFieldType.STRING,
            "For HTTP basic authentication, together with the password.",
            max=TOKEN_CHARACTERS,
            # A colon would end it (RFC 7617).
            pattern="[^:]*",
        ),
        ConfigField(
            "password",
            ConfigFieldType.STRING,
            "For HTTP basic authentication, together with the user name.",
            max=TOKEN_CHARACTERS,
            secret_name="password",  # noqa: S106 - the name of a field
            follows="url",
        ),
        ConfigField(
            "bearer_token",
            ConfigFieldType.STRING,
            "For bearer authentication, in place of a user name and a password.",
            max=TOKEN_CHARACTERS,
            secret_name="token",  # noqa: S106 - the name of a field
            follows="url",
        ),
    ),
    carries_digests=False,
    tracks_state=True,
    deduplicates=True,
)


class AlertmanagerSender:
    """Posts what fires, and what does so no more."""

    def __init__(self, http: GuardedHttp) -> None:
        self._http = http

    async def send(self, message: Message, channel: Channel, secrets: Secrets) -> Receipt:
        config = channel.config
        if not isinstance(config, AlertmanagerConfig):
            raise TypeError(f"not an Alertmanager channel: {channel.type}")
        url = config.url.rstrip("/") + "/api/v2/alerts"
        request = json_request(url, alerts_of(message), _authorization(config.username, secrets))
        return await self._http.call(request, secrets)

    async def close(self) -> None:
        """Nothing is held open between attempts."""


def _authorization(username: str, secrets: Secrets) -> dict[str, str]:
    if secrets.token:
        return {"authorization": f"Bearer {secrets.token}"}
    if not username:
        return {}
    login = base64.b64encode(f"{username}:{secrets.password}".encode()).decode("ascii")
    return {"authorization": f"Basic {login}"}
