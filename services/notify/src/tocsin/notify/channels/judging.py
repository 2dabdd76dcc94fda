"""What the answer to an HTTP request means. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from tocsin.notify.channels.base import delivered, may_pass, plain, refused
from tocsin.notify.domain.delivery import Receipt

_GONE = 410
_WORTH_REPEATING = frozenset({408, 425, 429})
_LONGEST_SECONDS = 10_000_000_000


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What a far side answered. The secrets of the channel are taken out of it already.

    `headers` have their names in lower case. `body` is the first 64 KiB, as text.
    """

    status: int
    reason: str
    headers: Mapping[str, str]
    body: str


Judge = Callable[[HttpAnswer, datetime], Receipt]
"""Turns an answer that came at this time into a receipt."""


def judge_by_status(answer: HttpAnswer, now: datetime) -> Receipt:
    """Judge as RFC 9110 means it: only 2xx is success, Retry-After is a header."""
    return judge(answer, retry_after(answer.headers.get("retry-after", ""), now))


def judge(answer: HttpAnswer, wait: timedelta | None) -> Receipt:
    """Judge by the status. `wait` is what the far side asked for, wherever it wrote it."""
    status = answer.status
    detail = f"{status} {answer.reason}: {answer.body.strip()}".rstrip(": ")
    if 200 <= status < 300:  # noqa: PLR2004 - the classes of RFC 9110, section 15
        return delivered(detail, status_code=status)
    if 300 <= status < 400:  # noqa: PLR2004
        return refused(_redirected(answer), status_code=status)
    if status >= 500 or status in _WORTH_REPEATING:  # noqa: PLR2004
        return may_pass(detail, status_code=status, retry_after=wait)
    return refused(detail, status_code=status, disable_channel=status == _GONE)


def _redirected(answer: HttpAnswer) -> str:
    location = answer.headers.get("location", "")
    where = f" to {plain(location)[:512]}" if location else ""
    return (
        f"{answer.status} {answer.reason}: redirects{where} are not followed. Set the URL of the"
        " channel to where the receiver is."
    )


def retry_after(value: str, now: datetime) -> timedelta | None:
    """Read a Retry-After header (RFC 9110, section 10.2.3): seconds or a date.

    None when it says nothing that makes sense; never below 0.
    """
    text = value.strip()
    if text.isascii() and text.isdigit():
        return timedelta(seconds=int(text[:10]))
    try:
        date = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    wait = (date if date.tzinfo else date.replace(tzinfo=UTC)) - now
    return max(wait, timedelta())


def retry_after_in(body: str, *path: str) -> timedelta | None:
    """Read the seconds, whole or not, under these names in a JSON answer.

    None when there is no such number, or none that makes sense.
    """
    try:
        found = json.loads(body)
        for name in path:
            found = found[name]
    except (ValueError, KeyError, TypeError, IndexError, RecursionError):
        return None
    if isinstance(found, bool) or not isinstance(found, int | float):
        return None
    if not math.isfinite(found) or not 0 <= found < _LONGEST_SECONDS:
        return None
    return timedelta(seconds=found)
