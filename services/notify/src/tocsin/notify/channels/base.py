"""What every channel is: something that sends one message and says what it met."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote, unquote

from tocsin.notify.domain.delivery import AttemptOutcome, Receipt

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import timedelta

    from tocsin.notify.domain.channel import Channel, Secrets
    from tocsin.notify.domain.notice import Message

SEND_SECONDS = 10.0
"""How long one attempt may take, from the look-up of the name to the end of the answer."""

DETAIL_CHARACTERS = 1_024
"""How much of what was met is kept, as the contract of Attempt.detail says."""

HIDDEN = "(hidden)"
"""What stands in place of a secret."""

# Control characters, line separators, and what turns the direction of writing around.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]+")

# What is shorter is no token, but a word such as `services` in a path.
_TOKEN_CHARACTERS = 12
_BETWEEN_PARTS = re.compile(r"[/?&=:@#,]+")


class Sender(Protocol):
    """Sends to the channels of one type."""

    async def send(self, message: Message, channel: Channel, secrets: Secrets) -> Receipt:
        """Make one attempt and say how it ended.

        Never raises for what a far side does, and ends within SEND_SECONDS. Cancellation passes
        through.
        """
        ...

    async def close(self) -> None:
        """Let go of what was held open."""
        ...


def delivered(detail: str, *, status_code: int = 0) -> Receipt:
    """The far side accepted it."""
    return Receipt(AttemptOutcome.DELIVERED, status_code, plain(detail))


def may_pass(detail: str, *, status_code: int = 0, retry_after: timedelta | None = None) -> Receipt:
    """It failed, certainly without being taken in, and may succeed later."""
    return Receipt(AttemptOutcome.RETRY, status_code, plain(detail), retry_after)


def refused(detail: str, *, status_code: int = 0, disable_channel: bool = False) -> Receipt:
    """It failed in a way that time does not heal."""
    return Receipt(
        AttemptOutcome.REFUSED, status_code, plain(detail), disable_channel=disable_channel
    )


def ambiguous(detail: str) -> Receipt:
    """It was sent, and nobody knows whether it arrived."""
    return Receipt(AttemptOutcome.AMBIGUOUS, 0, plain(detail))


def plain(text: str) -> str:
    """Make foreign text fit to be kept and shown: one line, no control characters, cut."""
    readable = text.encode("utf-8", "replace").decode("utf-8")
    return _CONTROL.sub(" ", readable).strip()[:DETAIL_CHARACTERS].rstrip()


def without_secrets(text: str, secrets: Secrets, *others: str) -> str:
    """Take every secret out of foreign text, in each form in which it may be echoed.

    Of a secret URL also the parts of its path and query that are long enough to be a token: a far
    side tells the path that it was asked for, or the token that it does not know. `others` are
    secrets too, such as a header made of one.
    """
    return hidden(text, forms_of_secrets(secrets, *others))


def forms_of_secrets(secrets: Secrets, *others: str) -> Sequence[str]:
    """Return what `hidden` takes out for these secrets, the longest first."""
    known = {*_tokens(secrets), *others, *_parts_of_urls(secrets)}
    forms = {form for secret in filter(None, known) for form in _forms(secret)}
    return sorted(forms, key=len, reverse=True)


def hidden(text: str, secret: Iterable[str]) -> str:
    """Return the text without these."""
    for form in secret:
        text = text.replace(form, HIDDEN)
    return text


def _tokens(secrets: Secrets) -> Iterator[str]:
    yield secrets.signing_secret
    yield secrets.previous_signing_secret
    yield secrets.password
    yield secrets.token


def _parts_of_urls(secrets: Secrets) -> Iterator[str]:
    for url in (secrets.url, *secrets.urls.splitlines()):
        scheme, _, rest = url.partition("://")
        host, slash, path = rest.partition("/")
        # The host of a URL of Apprise may be a token; that of a web address is no secret.
        parts = _BETWEEN_PARTS.split(path if scheme in {"http", "https"} else f"{host}/{path}")
        for part in (url, slash + path, *parts):
            if len(part) >= _TOKEN_CHARACTERS:
                yield part


def _forms(secret: str) -> Iterator[str]:
    yield secret
    yield base64.b64encode(secret.encode()).decode()
    yield quote(secret, safe="")
    yield unquote(secret)
