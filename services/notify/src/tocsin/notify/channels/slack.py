"""Slack: an incoming webhook (https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tocsin.notify.channels.escape import for_slack
from tocsin.notify.channels.forms import PEOPLE_RATE, secret_url
from tocsin.notify.channels.http import json_request
from tocsin.notify.channels.words import words
from tocsin.notify.domain.channel import Channel, ChannelType, Secrets, SlackConfig
from tocsin.notify.domain.channel_type import ChannelSpec

if TYPE_CHECKING:
    from tocsin.notify.channels.http import GuardedHttp
    from tocsin.notify.channels.words import Words
    from tocsin.notify.domain.delivery import Receipt
    from tocsin.notify.domain.notice import Message

SPEC = ChannelSpec(
    type=ChannelType.SLACK,
    display_name="Slack",
    description="Messages in a Slack channel by an incoming webhook.",
    fields=(secret_url("webhook_url", "The URL that Slack shows for the incoming webhook."),),
    carries_digests=True,
    tracks_state=False,
    deduplicates=False,
    default_rate_limit=PEOPLE_RATE,
)

_TEXT_CHARACTERS = 3_000
_TITLE_CHARACTERS = 500


class SlackSender:
    """Posts the title, and the rest beside a line in the colour of the severity."""

    def __init__(self, http: GuardedHttp) -> None:
        self._http = http

    async def send(self, message: Message, channel: Channel, secrets: Secrets) -> Receipt:
        if not isinstance(channel.config, SlackConfig):
            raise TypeError(f"not a Slack channel: {channel.type}")
        return await self._http.call(json_request(secrets.url, _payload(words(message))), secrets)

    async def close(self) -> None:
        """Nothing is held open between attempts."""


def _payload(told: Words) -> dict[str, Any]:
    title = for_slack(told.title[:_TITLE_CHARACTERS])
    payload: dict[str, Any] = {
        # Shown by telephones and screen readers, in place of the blocks.
        "text": title,
        "blocks": [_section(title)],
        # Nothing is fetched that a foreign text names.
        "unfurl_links": False,
        "unfurl_media": False,
    }
    lines = told.fitted(_TEXT_CHARACTERS, for_slack)
    if lines:
        payload["attachments"] = [
            {"color": f"#{told.colour:06x}", "blocks": [_section("\n".join(lines))]}
        ]
    return payload


def _section(text: str) -> dict[str, Any]:
    """In plain_text neither markup nor names of emoji are parsed."""
    return {"type": "section", "text": {"type": "plain_text", "text": text, "emoji": False}}
