"""E-mail: one SMTP session per attempt."""

from __future__ import annotations

import asyncio
import base64
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING

import aiosmtplib

from tocsin.notify.channels.address_guard import Dialer, refusal
from tocsin.notify.channels.base import (
    HIDDEN,
    SEND_SECONDS,
    ambiguous,
    delivered,
    may_pass,
    refused,
    without_secrets,
)
from tocsin.notify.channels.mail import mail
from tocsin.notify.channels.names import Names
from tocsin.notify.domain.channel import Channel, EmailConfig, EmailSecurity, Secrets

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable

    from tocsin.common.clock import Clock
    from tocsin.notify.channels.address_guard import Network
    from tocsin.notify.domain.delivery import Receipt
    from tocsin.notify.domain.notice import Message

# RFC 5321, section 4.2.1: 4yz may succeed later, 5yz does not.
_TRANSIENT, _PERMANENT, _BEYOND = 400, 500, 600
_QUIT_SECONDS = 1.0


class EmailSender:
    """Sends one mail to all recipients of a channel."""

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

    async def send(self, message: Message, channel: Channel, secrets: Secrets) -> Receipt:
        config = channel.config
        if not isinstance(config, EmailConfig):
            raise TypeError(f"not an e-mail channel: {channel.type}")
        written = mail(message, channel.channel_id, config, self._clock.now())
        session = _Session(
            config, secrets, Dialer(self._allowed), self._tls, self._seconds, names=self._names
        )
        try:
            async with asyncio.timeout(self._seconds):
                answer = await session.submit(written.as_bytes())
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            session.abandon()
            return session.judge(error)
        await session.leave()
        return delivered(
            session.without_secrets(answer), status_code=aiosmtplib.SMTPStatus.completed
        )

    async def close(self) -> None:
        """Nothing is held open between attempts."""


class _Session:
    """One SMTP session with one mail."""

    def __init__(
        self,
        config: EmailConfig,
        secrets: Secrets,
        dialer: Dialer,
        tls: ssl.SSLContext,
        seconds: float,
        *,
        names: Names,
    ) -> None:
        self._config = config
        self._secrets = secrets
        self._dialer = dialer
        self._names = names
        self._tls = tls
        self._seconds = seconds
        self._client: aiosmtplib.SMTP | None = None
        self._refusals: list[aiosmtplib.SMTPRecipientRefused] = []
        # From then on the server may have taken the mail in.
        self._is_content_sent = False

    async def submit(self, content: bytes) -> str:
        """Hand the mail over to the server, and return what it said.

        Raises SMTPException, OSError (TimeoutError among them) or ValueError.
        """
        client = await self._connect()
        await client.mail(self._config.from_address)
        for recipient in self._config.to_addresses:
            await self._offer(client, recipient)
        if len(self._refusals) == len(self._config.to_addresses):
            raise aiosmtplib.SMTPRecipientsRefused(self._refusals)
        self._is_content_sent = True
        response = await client.data(content)
        return f"{response.code} {response.message}{self._told_refusals()}"

    async def _connect(self) -> aiosmtplib.SMTP:
        connected = await self._dialer.connect(
            self._config.smtp_host, self._config.smtp_port, self._names
        )
        client = self._client = aiosmtplib.SMTP(
            hostname=self._config.smtp_host,
            sock=connected,
            local_hostname=_address_literal(connected),
            use_tls=self._config.security is EmailSecurity.TLS,
            start_tls=self._config.security is EmailSecurity.STARTTLS,
            tls_context=self._tls,
            username=self._config.username or None,
            password=self._secrets.password or None,
            timeout=self._seconds,
        )
        await client.connect()
        return client

    async def _offer(self, client: aiosmtplib.SMTP, recipient: str) -> None:
        try:
            await client.rcpt(recipient)
        except aiosmtplib.SMTPRecipientRefused as error:
            self._refusals.append(error)

    def _told_refusals(self) -> str:
        told = (f"{each.recipient} ({each.code} {each.message})" for each in self._refusals)
        return f"; not taken for: {', '.join(told)}" if self._refusals else ""

    async def leave(self) -> None:
        """Say goodbye, if the server listens: nothing depends on it."""
        if self._client is None:
            return
        with suppress(aiosmtplib.SMTPException, OSError):
            async with asyncio.timeout(_QUIT_SECONDS):
                await self._client.quit()
        self.abandon()

    def abandon(self) -> None:
        """Close the connection as it is."""
        if self._client is not None:
            self._client.close()

    def judge(self, error: Exception) -> Receipt:
        """Turn what `submit` raised into a receipt."""
        code = _code(error)
        detail = self.without_secrets(self._told(error))
        if _PERMANENT <= code < _BEYOND:
            return refused(detail, status_code=code)
        if _TRANSIENT <= code < _PERMANENT:
            return may_pass(detail, status_code=code)
        if self._is_content_sent:
            return ambiguous(f"The mail was sent, and then: {detail}")
        if self._dialer.is_refused and self._dialer.refused is not None:
            return refused(refusal(self._dialer.refused))
        return may_pass(f"The mail was not sent: {detail}")

    def without_secrets(self, text: str) -> str:
        """Take the password out of a server's words, also as AUTH PLAIN sent it (RFC 4616)."""
        login = f"\0{self._config.username}\0{self._secrets.password}".encode()
        sent = base64.b64encode(login).decode()
        return without_secrets(text.replace(sent, HIDDEN), self._secrets)

    def _told(self, error: Exception) -> str:
        if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
            return f"Refused{self._told_refusals()}"
        if isinstance(error, aiosmtplib.SMTPResponseException):
            return f"{error.code} {error.message}"
        if isinstance(error, TimeoutError):
            return f"no answer within {self._seconds:g} s"
        cause = error.__cause__ if isinstance(error, aiosmtplib.SMTPConnectError) else None
        met = cause or error
        return str(met) or type(met).__name__


def _code(error: Exception) -> int:
    """Return the SMTP code that an error carries, 0 for none.

    If all recipients are refused, one that may be taken later decides.
    """
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        return min(each.code for each in error.recipients)
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return max(error.code, 0)
    return 0


def _address_literal(connected: socket.socket) -> str:
    """Name ourselves by our address (RFC 5321, section 4.1.3): no look-up that could hang."""
    address = connected.getsockname()[0].partition("%")[0]
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"
