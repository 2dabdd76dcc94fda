"""Keeps secrets out of the logs, whoever logs them: by the names of fields, and by their looks."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from structlog.typing import EventDict, WrappedLogger

HIDDEN: Final = "(hidden)"
"""What stands in place of a secret."""

# `dedup_key` is none, nor is `token_id`: what counts is how a name ends.
_NAMES = re.compile(
    r"(?:^|[_.-])(?:tokens?|secrets?|passwords?|passwd|authorization|cookie"
    r"|(?:api|private|secret|signing)_?keys?|dsn)$",
    re.IGNORECASE,
)
# What stands between the colon and the last @ before the host of a URL.
_URL_PASSWORD = re.compile(r"(?P<before>\b[a-z][a-z0-9+.-]*://[^\s/@:]*:)[^\s/]*@", re.IGNORECASE)
_URL_QUERY = re.compile(
    r"(?P<before>[?&](?:password|passwd|secret|(?:access_|auth_)?token|api_?key)=)[^&\s\"']+",
    re.IGNORECASE,
)
_SCHEME = re.compile(r"\b(?P<scheme>bearer|basic)\s+[\w.~+/=-]{8,}", re.IGNORECASE)
_STANDARD_WEBHOOKS = re.compile(r"\bwhsec_[A-Za-z0-9+/=]+")
_OWN_TOKEN = re.compile(r"\btocsin_[A-Za-z0-9_-]{32,}")


def hide_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Blank what looks like a secret in an event, as a processor of structlog."""
    return {name: _shown(name, value) for name, value in event.items()}


def without_secrets(text: str) -> str:
    """Return a text without passwords in URLs, authorization headers and tokens of ours."""
    text = _URL_PASSWORD.sub(rf"\g<before>{HIDDEN}@", text)
    text = _URL_QUERY.sub(rf"\g<before>{HIDDEN}", text)
    text = _SCHEME.sub(rf"\g<scheme> {HIDDEN}", text)
    return _OWN_TOKEN.sub(HIDDEN, _STANDARD_WEBHOOKS.sub(HIDDEN, text))


def _shown(name: str, value: Any) -> Any:
    if _NAMES.search(name) and value not in (None, "", False):
        return HIDDEN
    if isinstance(value, str):
        return without_secrets(value)
    if isinstance(value, dict):
        return {key: _shown(str(key), each) for key, each in value.items()}
    if name == "exc_info" or value is None or isinstance(value, int | float):
        return value
    if isinstance(value, list | tuple):
        return [_shown("", each) for each in value]
    return without_secrets(str(value))  # as it would be written
