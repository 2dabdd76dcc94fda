"""The webhook: one signed HTTP POST per attempt."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tocsin.notify.channels.cloudevent import CONTENT_TYPE, cloudevent
from tocsin.notify.channels.forms import URL_CHARACTERS
from tocsin.notify.channels.http import HttpRequest
from tocsin.notify.channels.signature import signature_headers
from tocsin.notify.channels.tracing import trace_headers
from tocsin.notify.domain.channel import Channel, ChannelType, Secrets, WebhookConfig
from tocsin.notify.domain.channel_type import ChannelSpec, ConfigField, ConfigFieldType

if TYPE_CHECKING:
    from tocsin.common.clock import Clock
    from tocsin.notify.channels.http import GuardedHttp
    from tocsin.notify.domain.delivery import Receipt
    from tocsin.notify.domain.notice import Message

SPEC = ChannelSpec(
    type=ChannelType.WEBHOOK,
    display_name="Webhook",
    description="Sends CloudEvents to a URL, signed by Standard Webhooks: for programs.",
    fields=(
        ConfigField(
            "url",
            ConfigFieldType.URL,
            "Where the requests go.",
            required=True,
            min=1,
            max=URL_CHARACTERS,
        ),
        ConfigField(
            "signing_secret",
            ConfigFieldType.STRING,
            "What signs them: whsec_ and 24 to 64 bytes in base64. One is made if it is unset.",
            max=128,
            pattern=r"whsec_[A-Za-z0-9+/]+={0,2}",
            secret_name="signing_secret",  # noqa: S106 - the name of a field
        ),
    ),
    carries_digests=True,
    tracks_state=False,
    deduplicates=True,
)


class WebhookSender:
    """Sends CloudEvents, signed by Standard Webhooks."""

    def __init__(self, http: GuardedHttp, *, clock: Clock) -> None:
        self._http = http
        self._clock = clock

    async def send(self, message: Message, channel: Channel, secrets: Secrets) -> Receipt:
        if not isinstance(channel.config, WebhookConfig):
            raise TypeError(f"not a webhook: {channel.type}")
        body = cloudevent(message)
        now = self._clock.now()
        signing = channel.config.signing_secrets(secrets, now)
        headers = {
            "content-type": CONTENT_TYPE,
            **signature_headers(signing, str(message.event_id), now, body),
            **trace_headers(),
        }
        url = channel.config.url
        # It is shown to operators; what is a token in it is still not for the log.
        return await self._http.call(HttpRequest(url, body, headers), replace(secrets, url=url))

    async def close(self) -> None:
        """Nothing is held open between attempts."""
