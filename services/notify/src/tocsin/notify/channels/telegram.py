"""Telegram: a bot that writes into a chat (https://core.telegram.org/bots/api#sendmessage)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tocsin.notify.channels.escape import for_telegram
from tocsin.notify.channels.forms import ADDRESS, PEOPLE_RATE, TOKEN_CHARACTERS, URL_CHARACTERS
from tocsin.notify.channels.http import json_request
from tocsin.notify.channels.judging import judge, retry_after, retry_after_in
from tocsin.notify.channels.words import words
from tocsin.notify.domain.channel import Channel, ChannelType, Secrets, TelegramConfig
from tocsin.notify.domain.channel_type import ChannelSpec, ConfigField, ConfigFieldType

if TYPE_CHECKING:
    from datetime import datetime

    from tocsin.notify.channels.http import GuardedHttp
    from tocsin.notify.channels.judging import HttpAnswer
    from tocsin.notify.channels.words import Words
    from tocsin.notify.domain.delivery import Receipt
    from tocsin.notify.domain.notice import Message

DEFAULT_API = "https://api.telegram.org"

SPEC = ChannelSpec(
    type=ChannelType.TELEGRAM,
    display_name="Telegram",
    description="Messages of a Telegram bot in a chat.",
    fields=(
        ConfigField(
            "bot_token",
            ConfigFieldType.STRING,
            "The token that BotFather gave.",
            required=True,
            min=1,
            max=TOKEN_CHARACTERS,
            pattern="[0-9]+:[-_A-Za-z0-9]+",
            secret_name="token",  # noqa: S106 - the name of a field
            follows="api_url",
        ),
        ConfigField(
            "chat_id",
            ConfigFieldType.STRING,
            "The chat: its number, or the @name of a public one.",
            required=True,
            min=1,
            max=64,
            pattern="-?[0-9]{1,19}|@[A-Za-z0-9_]{1,63}",
        ),
        ConfigField(
            "message_thread_id",
            ConfigFieldType.INTEGER,
            "The topic inside of a forum. 0 means none.",
            max=2_147_483_647,
            default="0",
        ),
        ConfigField(
            "api_url",
            ConfigFieldType.URL,
            "A Bot API server of one's own.",
            max=URL_CHARACTERS,
            pattern=ADDRESS,
            default=DEFAULT_API,
        ),
    ),
    carries_digests=True,
    tracks_state=False,
    deduplicates=False,
    default_rate_limit=PEOPLE_RATE,
)

# A text has 4,096 characters, counted in UTF-16 after the markup is read: before it, to be sure.
_TITLE_UNITS = 900
_LINES_UNITS = 3_100


class TelegramSender:
    """Sends the title in bold type, and the lines below."""

    def __init__(self, http: GuardedHttp) -> None:
        self._http = http

    async def send(self, message: Message, channel: Channel, secrets: Secrets) -> Receipt:
        config = channel.config
        if not isinstance(config, TelegramConfig):
            raise TypeError(f"not a Telegram channel: {channel.type}")
        server = (config.api_url or DEFAULT_API).rstrip("/")
        url = f"{server}/bot{secrets.token}/sendMessage"
        return await self._http.call(
            json_request(url, _payload(config, words(message))), secrets, _judge
        )

    async def close(self) -> None:
        """Nothing is held open between attempts."""


def _payload(config: TelegramConfig, told: Words) -> dict[str, Any]:
    title = f"<b>{_shortened(told.title)}</b>"
    payload: dict[str, Any] = {
        "chat_id": config.chat_id,
        "text": "\n".join([title, *told.fitted(_LINES_UNITS, for_telegram, _utf_16_units)]),
        "parse_mode": "HTML",
        # Nothing is fetched that a foreign text names.
        "link_preview_options": {"is_disabled": True},
    }
    if config.message_thread_id:
        payload["message_thread_id"] = config.message_thread_id
    return payload


def _shortened(title: str) -> str:
    """Cut before it is escaped, so that no entity is cut in two."""
    while _utf_16_units(for_telegram(title)) > _TITLE_UNITS:
        title = title[: len(title) * 3 // 4]
    return for_telegram(title)


def _utf_16_units(text: str) -> int:
    return len(text.encode("utf-16-le", "replace")) // 2


def _judge(answer: HttpAnswer, now: datetime) -> Receipt:
    """Wait as long as the body says (ResponseParameters), or else the header."""
    wait = retry_after_in(answer.body, "parameters", "retry_after")
    if wait is None:
        wait = retry_after(answer.headers.get("retry-after", ""), now)
    return judge(answer, wait)
