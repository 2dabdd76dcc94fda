"""The webhook: one signed HTTP POST per attempt."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import aiohttp
from yarl import URL

from tocsin.notify.channels.address_guard import Dialer, refusal
from tocsin.notify.channels.base import (
    SEND_SECONDS,
    ambiguous,
    delivered,
    may_pass,
    plain,
    refused,
    without_secrets,
)
from tocsin.notify.channels.cloudevent import CONTENT_TYPE, cloudevent
from tocsin.notify.channels.names import Names, WebResolver
from tocsin.notify.channels.signature import signature_headers
from tocsin.notify.domain.channel import Channel, Secrets, WebhookConfig

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from tocsin.common.clock import Clock
    from tocsin.notify.channels.address_guard import Network
    from tocsin.notify.domain.delivery import Receipt
    from tocsin.notify.domain.notification import Notification

_ANSWER_BYTES = 65_536
_USER_AGENT = "tocsin-notify"
_GONE = 410
_WORTH_REPEATING = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    reason: str
    retry_after: str
    location: str
    body: str


class _Progress:
    """How far an attempt came: before the connection stood, nothing can have been taken in."""

    def __init__(self) -> None:
        self.is_connected = False

    def trace(self) -> aiohttp.TraceConfig:
        config = aiohttp.TraceConfig()
        config.on_connection_create_end.append(self._connected)
        return config

    async def _connected(self, *_: object) -> None:
        self.is_connected = True


class WebhookSender:
    """Sends CloudEvents, signed by Standard Webhooks.

    Each attempt makes its own connection: none is reused that the far side may have closed, and
    none escapes the address guard. Redirects are not followed, proxies and cookies not used.
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
        self._tls = tls or ssl.create_default_context()
        self._seconds = seconds
        self._names = Names()

    async def send(self, notification: Notification, channel: Channel, secrets: Secrets) -> Receipt:
        if not isinstance(channel.config, WebhookConfig):
            raise TypeError(f"not a webhook: {channel.type}")
        dialer = Dialer(self._allowed)
        progress = _Progress()
        body = cloudevent(notification)
        now = self._clock.now()
        headers = {
            "content-type": CONTENT_TYPE,
            "user-agent": _USER_AGENT,
            # The answer is read only for its first words: nothing to unpack, nothing to explode.
            "accept-encoding": "identity",
            **signature_headers(
                channel.config.signing_secrets(secrets, now),
                str(notification.event_id),
                now,
                body,
            ),
        }
        try:
            answer = await self._post(channel.config.url, headers, body, dialer, progress)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return _not_answered(error, dialer, progress, self._seconds)
        return _judge(answer, secrets, now)

    async def _post(
        self, url: str, headers: dict[str, str], body: bytes, dialer: Dialer, progress: _Progress
    ) -> _Answer:
        deadline = asyncio.get_running_loop().time() + self._seconds
        async with self._session(dialer, progress) as session:
            async with asyncio.timeout_at(deadline):
                response = await session.post(
                    URL(url), data=body, headers=headers, allow_redirects=False
                )
            async with response:
                return _Answer(
                    response.status,
                    response.reason or "",
                    response.headers.get("retry-after", ""),
                    response.headers.get("location", ""),
                    await _first_words(response, deadline),
                )

    @asynccontextmanager
    async def _session(
        self, dialer: Dialer, progress: _Progress
    ) -> AsyncIterator[aiohttp.ClientSession]:
        connector = aiohttp.TCPConnector(
            socket_factory=dialer.open_socket,
            resolver=WebResolver(self._names),
            ssl=self._tls,
            force_close=True,
            use_dns_cache=False,
        )
        async with aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
            trust_env=False,
            auto_decompress=False,
            trace_configs=[progress.trace()],
        ) as session:
            yield session

    async def close(self) -> None:
        """Nothing is held open between attempts."""


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
    return plain(read.decode("utf-8", "replace"))


def _not_answered(error: Exception, dialer: Dialer, progress: _Progress, seconds: float) -> Receipt:
    met = f"no answer within {seconds:g} s" if isinstance(error, TimeoutError) else str(error)
    if progress.is_connected:
        return ambiguous(f"The request was sent, and then: {met or type(error).__name__}")
    if dialer.is_refused and dialer.refused is not None:
        return refused(refusal(dialer.refused))
    if isinstance(error, aiohttp.InvalidURL):
        return refused(f"The URL cannot be used: {met}")
    return may_pass(f"Not connected: {met or type(error).__name__}")


def _judge(answer: _Answer, secrets: Secrets, now: datetime) -> Receipt:
    """Turn an answer into a receipt. Only 2xx is success."""
    status = answer.status
    detail = without_secrets(f"{status} {answer.reason}: {answer.body}".rstrip(": "), secrets)
    if 200 <= status < 300:  # noqa: PLR2004 - the classes of RFC 9110, section 15
        return delivered(detail, status_code=status)
    if 300 <= status < 400:  # noqa: PLR2004
        where = f" to {plain(answer.location)[:512]}" if answer.location else ""
        return refused(
            without_secrets(
                f"{status} {answer.reason}: redirects{where} are not followed. Set the URL of the"
                " channel to where the receiver is.",
                secrets,
            ),
            status_code=status,
        )
    if status >= 500 or status in _WORTH_REPEATING:  # noqa: PLR2004
        return may_pass(
            detail, status_code=status, retry_after=retry_after(answer.retry_after, now)
        )
    return refused(detail, status_code=status, disable_channel=status == _GONE)


def retry_after(value: str, now: datetime) -> timedelta | None:
    """Read a Retry-After header (RFC 9110, section 10.2.3): seconds or a date.

    None when it says nothing that makes sense; never below 0.
    """
    text = value.strip()
    if text.isascii() and text.isdigit():
        wait = timedelta(seconds=int(text[:10]))
    else:
        try:
            date = parsedate_to_datetime(text)
        except (TypeError, ValueError):
            return None
        wait = (date if date.tzinfo else date.replace(tzinfo=UTC)) - now
    return max(wait, timedelta())
