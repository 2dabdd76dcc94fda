"""The channels that send JSON by HTTP, and what their vendors document of a request.

The limits and names are those of the vendors' pages, not of our code.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from support.notifications import a_channel
from support.shapes import conform, one_of, text
from tocsin.notify.channels.alertmanager import AlertmanagerSender
from tocsin.notify.channels.discord import DiscordSender
from tocsin.notify.channels.gotify import GotifySender
from tocsin.notify.channels.ntfy import NtfySender
from tocsin.notify.channels.pagerduty import PagerDutySender
from tocsin.notify.channels.slack import SlackSender
from tocsin.notify.channels.teams import TeamsSender
from tocsin.notify.channels.telegram import TelegramSender
from tocsin.notify.domain.channel import (
    AlertmanagerConfig,
    Channel,
    DiscordConfig,
    GotifyConfig,
    NtfyConfig,
    PagerDutyConfig,
    Secrets,
    SlackConfig,
    TeamsConfig,
    TelegramConfig,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tocsin.notify.channels.base import Sender
    from tocsin.notify.channels.http import GuardedHttp

NTFY_TOKEN = "tk_AgQdq7mVBoFD37zQVN29RhuMzNIz2"
SLACK_PATH = "/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX"
DISCORD_PATH = "/api/webhooks/1234567890123456789/qP5sT-verysecrettoken_0123456789abcdefXYZ"
TEAMS_PATH = (
    "/workflows/0123456789abcdef0123456789abcdef/triggers/manual/paths/invoke"
    "?api-version=2016-06-01&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=s3cr3t-s1gnature_abcdefghijk"
)

TELEGRAM_TOKEN = "123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"
GOTIFY_TOKEN = "AwdIVQJ5kEwD2Xq"
ROUTING_KEY = "0123456789abcdef0123456789ABCDEF"
BEARER = "a-bearer-token-of-the-proxy"

# https://docs.ntfy.sh/publish/#publish-as-json
NTFY = {
    "topic": "backups",
    "message": lambda value: 0 < len(value.encode()) <= 4_096,
    "title?": str,
    "priority?": one_of(1, 2, 3, 4, 5),
    "tags?": [str],
}

# https://docs.slack.dev/reference/block-kit/blocks/section-block, …/composition-objects/text-object
_SLACK_SECTION = {
    "type": "section",
    "text": {"type": "plain_text", "text": text(1, 3_000), "emoji?": bool},
}
SLACK = {
    "text": text(1, 4_000),
    "blocks?": [_SLACK_SECTION],
    "attachments?": [
        {"color?": lambda value: len(value) == 7 and value[0] == "#", "blocks": [_SLACK_SECTION]}
    ],
    "unfurl_links?": bool,
    "unfurl_media?": bool,
}

# https://docs.discord.com/developers/resources/webhook#execute-webhook
DISCORD = {
    "content": text(1, 2_000),
    "embeds?": [
        {
            "description": lambda value: 0 < len(value.encode("utf-16-le")) // 2 <= 4_096,
            "color": lambda value: type(value) is int and 0 <= value < 1 << 24,
        }
    ],
    "allowed_mentions": {"parse": lambda value: value == []},
}

# https://adaptivecards.io/explorer
_RUN = {
    "type": "TextRun",
    "text": text(1, 10_000),
    "weight?": one_of("Lighter", "Default", "Bolder"),
    "size?": one_of("Small", "Default", "Medium", "Large", "ExtraLarge"),
    "color?": one_of("Default", "Dark", "Light", "Accent", "Good", "Warning", "Attention"),
}
TEAMS = {
    "type": "message",
    "attachments": [
        {
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": None,
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": one_of("1.0", "1.1", "1.2", "1.3", "1.4", "1.5"),
                "msteams?": {"width": "Full"},
                "body": [
                    {
                        "type": "RichTextBlock",
                        "spacing?": one_of("Default", "None", "Small", "Medium", "Large"),
                        "inlines": [_RUN],
                    }
                ],
            },
        }
    ],
}

# https://core.telegram.org/bots/api#sendmessage: the text before its markup is read is longer
TELEGRAM = {
    "chat_id": one_of("-1001234567890"),
    "message_thread_id?": 7,
    "text": lambda value: 0 < len(value.encode("utf-16-le")) // 2 <= 4_096,
    "parse_mode": "HTML",
    "link_preview_options": {"is_disabled": True},
}

# https://gotify.net/api-docs#/message/createMessage
GOTIFY = {
    "title?": str,
    "message": text(1, 1_000_000),
    "priority?": lambda value: type(value) is int and 0 <= value <= 10,
    "extras?": {"client::display": {"contentType": one_of("text/plain", "text/markdown")}},
}

# https://developer.pagerduty.com/docs/send-alert-event
PAGERDUTY = {
    "routing_key": text(32, 32),
    "event_action": one_of("trigger", "acknowledge", "resolve"),
    "dedup_key": text(1, 255),
    "client?": str,
    "payload?": {
        "summary": text(1, 1_024),
        "source": text(1, 1_024),
        "severity": one_of("critical", "error", "warning", "info"),
        "timestamp?": str,
        "component?": str,
        "class?": str,
        "custom_details?": dict,
    },
}

# https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml: postableAlerts
ALERTMANAGER = [
    {
        "labels": lambda value: all(
            name.replace("_", "a").isalnum() and name.isascii() and text
            for name, text in value.items()
        ),
        "annotations?": lambda value: all(isinstance(each, str) for each in value.values()),
        "startsAt?": str,
        "endsAt?": str,
        "generatorURL?": str,
    }
]


@dataclass(frozen=True)
class Chat:
    """One type of channels: where it sends, with which secrets, and in which shape."""

    make: Callable[[GuardedHttp], Sender]
    channel: Callable[[str], Channel]
    secrets: Callable[[str], Secrets]
    path: str
    shape: dict[str, Any] | list[Any]
    most: int
    token: str
    size: Callable[[str], int] = lambda body: len(body.encode())

    def check(self, body: bytes) -> Any:
        """Fail unless the body is what the vendor takes; return the document."""
        document = json.loads(body)
        conform(document, self.shape)
        assert self.size(body.decode()) <= self.most
        return document


CHATS = {
    "ntfy": Chat(
        NtfySender,
        lambda url: a_channel(NtfyConfig(url, "backups")),
        lambda _: Secrets(token=NTFY_TOKEN),
        "/",
        NTFY,
        8_192,
        NTFY_TOKEN,
    ),
    "slack": Chat(
        SlackSender,
        lambda _: a_channel(SlackConfig()),
        lambda url: Secrets(url=url + SLACK_PATH),
        SLACK_PATH,
        SLACK,
        100_000,
        "XXXXXXXXXXXXXXXXXXXXXXXX",
    ),
    "discord": Chat(
        DiscordSender,
        lambda _: a_channel(DiscordConfig()),
        lambda url: Secrets(url=url + DISCORD_PATH),
        DISCORD_PATH + "?wait=true",
        DISCORD,
        100_000,
        "qP5sT-verysecrettoken_0123456789abcdefXYZ",
    ),
    "teams": Chat(
        TeamsSender,
        lambda _: a_channel(TeamsConfig()),
        lambda url: Secrets(url=url + TEAMS_PATH),
        TEAMS_PATH,
        TEAMS,
        28_672,
        "s3cr3t-s1gnature_abcdefghijk",
        lambda body: len(body.encode("utf-16-le")),
    ),
    "telegram": Chat(
        TelegramSender,
        lambda url: a_channel(TelegramConfig("-1001234567890", 7, url)),
        lambda _: Secrets(token=TELEGRAM_TOKEN),
        f"/bot{TELEGRAM_TOKEN}/sendMessage",
        TELEGRAM,
        100_000,
        TELEGRAM_TOKEN,
    ),
    "gotify": Chat(
        GotifySender,
        lambda url: a_channel(GotifyConfig(url + "/behind/a/proxy/")),
        lambda _: Secrets(token=GOTIFY_TOKEN),
        "/behind/a/proxy/message",
        GOTIFY,
        1_000_000,
        GOTIFY_TOKEN,
    ),
    "pagerduty": Chat(
        PagerDutySender,
        lambda url: a_channel(PagerDutyConfig(url + "/v2/enqueue")),
        lambda _: Secrets(token=ROUTING_KEY),
        "/v2/enqueue",
        PAGERDUTY,
        512_000,
        ROUTING_KEY,
    ),
    "alertmanager": Chat(
        AlertmanagerSender,
        lambda url: a_channel(AlertmanagerConfig(url, "")),
        lambda _: Secrets(token=BEARER),
        "/api/v2/alerts",
        ALERTMANAGER,
        10_000_000,
        BEARER,
    ),
}
