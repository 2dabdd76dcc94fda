"""The attempts of guarded HTTP: what goes out, and what is made of how it ends.

It is loaded with the first request, for aiohttp is a tenth of what the service holds.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

import aiohttp
from yarl import URL

from tocsin.notify.channels.address_guard import Dialer, refusal
from tocsin.notify.channels.base import ambiguous, forms_of_secrets, hidden, may_pass, refused
from tocsin.notify.channels.connections import Connections, Progress
from tocsin.notify.channels.judging import HttpAnswer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tocsin.common.clock import Clock
    from tocsin.notify.channels.address_guard import Network
    from tocsin.notify.channels.http import HttpRequest
    from tocsin.notify.channels.judging import Judge
    from tocsin.notify.domain.channel import Secrets
    from tocsin.notify.domain.delivery import Receipt

_ANSWER_BYTES = 65_536
_ALWAYS = {
    "user-agent": "tocsin-notify",
    # The answer is read only for its first words: nothing to unpack, nothing to explode.
    "accept-encoding": "identity",
}


class Attempts:
    """Makes attempts: see GuardedHttp, which has the same arguments."""

    def __init__(
        self,
        allowed: tuple[Network, ...],
        *,
        clock: Clock,
        tls: ssl.SSLContext | None,
        seconds: float,
    ) -> None:
        self._allowed = allowed
        self._clock = clock
        self._seconds = seconds
        self._connections = Connections(tls or ssl.create_default_context())

    async def call(self, request: HttpRequest, secrets: Secrets, judge: Judge) -> Receipt:
        """Make one attempt and say how it ended: see `GuardedHttp.call`."""
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
        async with self._connections.lent(dialer, progress) as session:
            async with asyncio.timeout_at(deadline):
                response = await session.request(
                    request.method,
                    URL(request.url),
                    data=request.body,
                    headers={**_ALWAYS, **request.headers},
                    allow_redirects=False,
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
    if response.content.at_eof():
        return ""
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
