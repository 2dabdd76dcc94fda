"""Discord: a webhook (https://docs.discord.com/developers/resources/webhook#execute-webhook)."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tocsin.notify.channels.escape import for_discord
from tocsin.notify.channels.forms import PEOPLE_RATE, secret_url
from tocsin.notify.channels.http import json_request
from tocsin.notify.channels.judging import judge, retry_after, retry_after_in
from tocsin.notify.channels.words import words
from tocsin.notify.domain.channel import Channel, ChannelType, DiscordConfig, Secrets
from tocsin.notify.domain.channel_type import ChannelSpec

if TYPE_CHECKING:
    from datetime import datetime

    from tocsin.notify.channels.http import GuardedHttp
    from tocsin.notify.channels.judging import HttpAnswer
    from tocsin.notify.channels.words import Words
    from tocsin.notify.domain.delivery import Receipt
    from tocsin.notify.domain.notice import Message

SPEC = ChannelSpec(
    type=ChannelType.DISCORD,
    display_name="Discord",
    description="Messages in a Discord channel by a webhook.",
    fields=(secret_url("webhook_url", "The URL that Discord shows for the webhook."),),
    carries_digests=True,
    tracks_state=False,
    deduplicates=False,
    default_rate_limit=PEOPLE_RATE,
)

# Discord takes 2,000 characters as content, escapes included, and 4,096 as a description.
_TITLE_CHARACTERS = 900
_DESCRIPTION_CHARACTERS = 4_000
_NOT_FOUND = 404
# https://docs.discord.com/developers/topics/opcodes-and-status-codes#json
_UNKNOWN_WEBHOOK = 10_015


class DiscordSender:
    """Posts the title, and the rest as an embed in the colour of the severity."""

    def __init__(self, http: GuardedHttp) -> None:
        self._http = http

    async def send(self, message: Message, channel: Channel, secrets: Secrets) -> Receipt:
        if not isinstance(channel.config, DiscordConfig):
            raise TypeError(f"not a Discord channel: {channel.type}")
        # Without it a message that is not saved is answered as if it were.
        url = f"{secrets.url}{'&' if '?' in secrets.url else '?'}wait=true"
        return await self._http.call(json_request(url, _payload(words(message))), secrets, _judge)

    async def close(self) -> None:
        """Nothing is held open between attempts."""


def _payload(told: Words) -> dict[str, Any]:
    payload: dict[str, Any] = {
        "content": for_discord(told.title[:_TITLE_CHARACTERS]),
        "allowed_mentions": {"parse": []},
    }
    lines = told.fitted(_DESCRIPTION_CHARACTERS, for_discord, _utf_16_units)
    if lines:
        payload["embeds"] = [{"description": "\n".join(lines), "color": told.colour}]
    return payload


def _utf_16_units(text: str) -> int:
    return len(text.encode("utf-16-le", "replace")) // 2


def _judge(answer: HttpAnswer, now: datetime) -> Receipt:
    """Wait as long as the body says, to the fraction of a second, or else the header.

    A webhook that was deleted must not be called again: whoever goes on is shut out.
    """
    wait = retry_after_in(answer.body, "retry_after")
    if wait is None:
        wait = retry_after(answer.headers.get("retry-after", ""), now)
    receipt = judge(answer, wait)
    if answer.status == _NOT_FOUND and _code(answer.body) == _UNKNOWN_WEBHOOK:
        return replace(receipt, disable_channel=True)
    return receipt


def _code(body: str) -> object:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found.get("code") if isinstance(found, dict) else None
