"""Guarded HTTP: one request per attempt.

All channels that speak HTTP send through here. No connection escapes the address guard, and none
is kept that nobody uses: see `connections.py`. Redirects are not followed, proxies and cookies not
used; the answer is bounded in bytes and in time.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aiohttp
from yarl import URL

from tocsin.notify.channels.address_guard import Dialer, refusal
from tocsin.notify.channels.base import (
    SEND_SECONDS,
    ambiguous,
    forms_of_secrets,
    hidden,
    may_pass,
    refused,
)
from tocsin.notify.channels.connections import Connections, Progress
from tocsin.notify.channels.judging import HttpAnswer, judge_by_status

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tocsin.common.clock import Clock
    from tocsin.notify.channels.address_guard import Network
    from tocsin.notify.channels.judging import Judge
    from tocsin.notify.domain.channel import Secrets
    from tocsin.notify.domain.delivery import Receipt

_ANSWER_BYTES = 65_536
_ALWAYS = {
    "user-agent": "tocsin-notify",
    # The answer is read only for its first words: nothing to unpack, nothing to explode.
    "accept-encoding": "identity",
}
_JSON = "application/json; charset=utf-8"


@dataclass(frozen=True, slots=True, repr=False)
class HttpRequest:
    """One request. Its URL and its headers may hold secrets, so it is never shown."""

    url: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "POST"


def json_request(url: str, document: Any, headers: Mapping[str, str] | None = None) -> HttpRequest:
    """Return a POST of a JSON document."""
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return HttpRequest(
        url, body.encode("utf-8", "replace"), {"content-type": _JSON, **(headers or {})}
    )


class GuardedHttp:
    """Makes requests to addresses that may be dialled.

    `allowed_networks` may be although they are not public. `tls` verifies servers; the default
    trusts what the system trusts. `seconds` bound an attempt as a whole.
    """

    def __init__(
        self,
        allowed_networks: Iterable[Network],
        *,
        clock: Clock,
        tls: ssl.SSLContext | None = None,
        seconds: float = SEND_SECONDS,
    ) -> None:
        self._allowed = tuple(allowed_networks)
        self._clock = clock
        self._seconds = seconds
        self._connections = Connections(tls or ssl.create_default_context())

    async def call(
        self, request: HttpRequest, secrets: Secrets, judge: Judge = judge_by_status
    ) -> Receipt:
        """Make one attempt and say how it ended. Never raises for what a far side does.

        The secrets, and what authorizes the request, are taken out of all that is said.
        """
        dialer, progress = Dialer(self._allowed), Progress()
        try:
            answer = await self._answer(request, dialer, progress)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            met = str(error) or type(error).__name__
            if isinstance(error, TimeoutError):
                met = f"no answer within {self._seconds:g} s"
            met = hidden(met, _what_to_hide(request, secrets))
            return _not_answered(error, met, dialer, progress)
        return judge(_cleaned(answer, _what_to_hide(request, secrets)), self._clock.now())

    async def _answer(self, request: HttpRequest, dialer: Dialer, progress: Progress) -> HttpAnswer:
        deadline = asyncio.get_running_loop().time() + self._seconds
        async with self._connections.lent(dialer) as session:
            async with asyncio.timeout_at(deadline):
                response = await session.request(
                    request.method,
                    URL(request.url),
                    data=request.body,
                    headers={**_ALWAYS, **request.headers},
                    allow_redirects=False,
                    trace_request_ctx=progress,
                )
            async with response:
                return HttpAnswer(
                    response.status,
                    response.reason or "",
                    {name.lower(): text for name, text in response.headers.items()},
                    await _first_words(response, deadline),
                )


def _what_to_hide(request: HttpRequest, secrets: Secrets) -> Sequence[str]:
    authorization = request.headers.get("authorization", "")
    return forms_of_secrets(secrets, authorization, authorization.partition(" ")[2])


def _cleaned(answer: HttpAnswer, secret: Sequence[str]) -> HttpAnswer:
    return HttpAnswer(
        answer.status,
        hidden(answer.reason, secret),
        {name: hidden(text, secret) for name, text in answer.headers.items()},
        hidden(answer.body, secret),
    )


async def _first_words(response: aiohttp.ClientResponse, deadline: float) -> str:
    """Read the answer's body as far as bytes and time allow: the status has already decided."""
    read = bytearray()
    try:
        async with asyncio.timeout_at(deadline):
            while len(read) < _ANSWER_BYTES:
                chunk = await response.content.read(_ANSWER_BYTES - len(read))
                if not chunk:
                    break
                read += chunk
    except (aiohttp.ClientError, OSError):
        pass
    return read.decode("utf-8", "replace")


def _not_answered(error: Exception, met: str, dialer: Dialer, progress: Progress) -> Receipt:
    if progress.is_connected:
        return ambiguous(f"The request was sent, and then: {met}")
    if dialer.is_refused and dialer.refused is not None:
        return refused(refusal(dialer.refused))
    if isinstance(error, aiohttp.InvalidURL):
        return refused(f"The URL cannot be used: {met}")
    return may_pass(f"Not connected: {met}")
