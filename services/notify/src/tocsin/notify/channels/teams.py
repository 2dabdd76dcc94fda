"""Microsoft Teams: a workflow that posts Adaptive Cards.

https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tocsin.notify.channels.escape import for_card
from tocsin.notify.channels.forms import PEOPLE_RATE, secret_url
from tocsin.notify.channels.http import json_request
from tocsin.notify.channels.words import words
from tocsin.notify.domain.channel import Channel, ChannelType, Secrets, TeamsConfig
from tocsin.notify.domain.channel_type import ChannelSpec
from tocsin.notify.domain.notification import Severity

if TYPE_CHECKING:
    from tocsin.notify.channels.http import GuardedHttp
    from tocsin.notify.channels.words import Words
    from tocsin.notify.domain.delivery import Receipt
    from tocsin.notify.domain.notice import Message

SPEC = ChannelSpec(
    type=ChannelType.TEAMS,
    display_name="Microsoft Teams",
    description="Cards in a chat or channel of Microsoft Teams by a workflow.",
    fields=(secret_url("webhook_url", "The URL that the workflow shows for its webhook."),),
    carries_digests=True,
    tracks_state=False,
    deduplicates=False,
    default_rate_limit=PEOPLE_RATE,
)

# A message may have 28 KB, counted in UTF-16: about 14,000 characters of JSON, frame included.
_LINES_CHARACTERS = 11_000
_TITLE_CHARACTERS = 500
_FRAME_OF_A_LINE = 90
_COLOURS = {Severity.INFO: "Accent", Severity.WARNING: "Warning", Severity.CRITICAL: "Attention"}


class TeamsSender:
    """Posts a card: the title in the colour of the severity, and the lines below."""

    def __init__(self, http: GuardedHttp) -> None:
        self._http = http

    async def send(self, message: Message, channel: Channel, secrets: Secrets) -> Receipt:
        if not isinstance(channel.config, TeamsConfig):
            raise TypeError(f"not a Teams channel: {channel.type}")
        return await self._http.call(json_request(secrets.url, _payload(words(message))), secrets)

    async def close(self) -> None:
        """Nothing is held open between attempts."""


def _payload(told: Words) -> dict[str, Any]:
    title = {
        "text": for_card(told.title[:_TITLE_CHARACTERS]),
        "weight": "Bolder",
        "size": "Medium",
        "color": "Good" if told.is_over else _COLOURS[told.severity],
    }
    lines = told.fitted(_LINES_CHARACTERS, for_card, _characters_as_json)
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.2",
        "msteams": {"width": "Full"},
        "body": [_block(title), *(_block({"text": line}) for line in lines)],
    }
    attachment = {
        "contentType": "application/vnd.microsoft.card.adaptive",
        "contentUrl": None,
        "content": card,
    }
    return {"type": "message", "attachments": [attachment]}


def _block(run: dict[str, str]) -> dict[str, Any]:
    """A RichTextBlock, as a TextBlock would parse Markdown."""
    return {"type": "RichTextBlock", "spacing": "Small", "inlines": [{"type": "TextRun", **run}]}


def _characters_as_json(lines: str) -> int:
    return len(json.dumps(lines)) + _FRAME_OF_A_LINE * (1 + lines.count("\n"))
