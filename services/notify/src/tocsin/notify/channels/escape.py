"""Foreign text as each markup shows it unchanged, pinging nobody. Pure.

The names of hosts, keys and messages come from outside: they may hold what a chat takes for markup.
"""

from __future__ import annotations

import re

_SLACK = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_DISCORD_ANYWHERE = re.compile(r"[\\*_~`|<\[@]")
_DISCORD_AT_START = re.compile(r"^(\s*)(?=[-+#>])|^(\s*\d+)(?=\.)")
_MENTION = re.compile(r"@(?=\w)|<(?=[!@#])")
_CARD_FUNCTION = re.compile(r"\{\{(?=DATE\(|TIME\()")


def for_slack(text: str) -> str:
    """Escape what Slack parses: `<!channel>`, `<@U1>` and links begin with one of these.

    https://docs.slack.dev/messaging/formatting-message-text: these three characters and no others.
    """
    return "".join(_SLACK.get(each, each) for each in text)


def for_discord(line: str) -> str:
    """Escape Discord's Markdown in one line, mentions and masked links included.

    That nobody is pinged is made sure by `allowed_mentions`; this is for what is shown.
    """
    escaped = _DISCORD_ANYWHERE.sub(r"\\\g<0>", line)
    return _DISCORD_AT_START.sub(r"\g<0>\\", escaped)


def for_card(text: str) -> str:
    """Disarm the functions of Adaptive Cards, `{{DATE(…)}}` and `{{TIME(…)}}`.

    An invisible word joiner (U+2060) keeps the braces apart. A TextRun knows no other markup.
    """
    return _CARD_FUNCTION.sub("{\N{WORD JOINER}{", text)


def for_telegram(text: str) -> str:
    """Escape Telegram's HTML, and disarm `@name`, which it takes for a mention anywhere.

    https://core.telegram.org/bots/api#html-style: these three characters and no others.
    """
    return for_slack(without_mentions(text))


def without_mentions(text: str) -> str:
    """Disarm `@everyone`, `<!channel>` and the like where no escape is known.

    An invisible word joiner (U+2060) stands after their first character.
    """
    return _MENTION.sub("\\g<0>\N{WORD JOINER}", text)
