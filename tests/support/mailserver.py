"""A real SMTP server (aiosmtpd) on a free port of 127.0.0.1, that does as told."""

from __future__ import annotations

import asyncio
import warnings
from contextlib import asynccontextmanager
from email import message_from_bytes
from email.policy import default
from typing import TYPE_CHECKING, Any

from aiosmtpd.smtp import SMTP, AuthResult

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator
    from email.message import EmailMessage


class Mailbox:
    """Keeps the mails, and says `answers[command]` (RCPT TO, DATA …) in place of OK.

    `refuses` are recipients, with what is said to them. `drop_after_data`: take the content in,
    and cut the connection without an answer.
    """

    def __init__(self, password: str) -> None:
        self.password = password
        self.mails: list[EmailMessage] = []
        self.recipients: list[list[str]] = []
        self.was_encrypted: list[bool] = []
        self.logins: list[str] = []
        self.refuses: dict[str, str] = {}
        self.data_answer = "250 OK: kept"
        self.drop_after_data = False
        self.port = 0

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        if address in self.refuses:
            return self.refuses[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        parsed = message_from_bytes(envelope.content, policy=default)
        self.mails.append(parsed)
        self.recipients.append(list(envelope.rcpt_tos))
        self.was_encrypted.append(session.ssl is not None or _is_tls(server))
        if self.drop_after_data:
            server.transport.abort()
        return self.data_answer

    def authenticate(
        self, server: Any, session: Any, envelope: Any, mechanism: str, login: Any
    ) -> AuthResult:
        self.logins.append(mechanism)
        return AuthResult(success=login.password.decode() == self.password, handled=False)


def _is_tls(server: Any) -> bool:
    return server.transport.get_extra_info("sslcontext") is not None


@asynccontextmanager
async def running_mailserver(
    password: str,
    *,
    starttls: ssl.SSLContext | None = None,
    tls: ssl.SSLContext | None = None,
    login: bool = True,
) -> AsyncIterator[Mailbox]:
    """Run a mail server that wants STARTTLS, or speaks TLS from the first byte, or neither."""
    mailbox = Mailbox(password)
    loop = asyncio.get_running_loop()
    connections: list[Any] = []

    def protocol() -> SMTP:
        with warnings.catch_warnings():  # aiosmtpd does not see TLS that it did not begin itself
            warnings.filterwarnings("ignore", message="Requiring AUTH while not requiring TLS")
            connection = SMTP(
                mailbox,
                hostname="mail.example.org",
                tls_context=starttls,
                require_starttls=starttls is not None,
                authenticator=mailbox.authenticate if login else None,
                auth_required=login,
                auth_require_tls=tls is None,
                loop=loop,
            )
        connections.append(connection)
        return connection

    server = await loop.create_server(protocol, "127.0.0.1", 0, ssl=tls)
    mailbox.port = server.sockets[0].getsockname()[1]
    try:
        yield mailbox
    finally:
        server.close()
        for connection in connections:
            if connection.transport is not None:
                connection.transport.abort()
        await server.wait_closed()
