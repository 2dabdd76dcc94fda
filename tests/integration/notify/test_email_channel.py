"""E-mail against a real SMTP server, over STARTTLS and TLS, with a login."""

from __future__ import annotations

import asyncio
import smtplib
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from support.certificates import client_tls, server_tls
from support.mailserver import running_mailserver
from support.notifications import (
    ALERT,
    LOOPBACK,
    MAIL_SECRETS,
    PASSWORD,
    a_mailbox,
    a_notification,
)
from tocsin.common.clock import SystemClock
from tocsin.notify.channels.email import EmailSender
from tocsin.notify.domain.channel import EmailSecurity, Secrets
from tocsin.notify.domain.delivery import AttemptOutcome
from tocsin.notify.domain.notification import EventType

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from support.mailserver import Mailbox
    from tocsin.notify.domain.channel import Channel
    from tocsin.notify.domain.delivery import Receipt


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    async with running_mailserver(PASSWORD, starttls=server_tls()) as running:
        yield running


def a_sender(seconds: float = 10.0) -> EmailSender:
    return EmailSender(LOOPBACK, clock=SystemClock(), tls=client_tls(), seconds=seconds)


async def send(channel: Channel, secrets: Secrets = MAIL_SECRETS, seconds: float = 10.0) -> Receipt:
    return await a_sender(seconds).send(a_notification(), channel, secrets)


async def test_a_mail_arrives_over_starttls_with_a_login(mailbox: Mailbox) -> None:
    receipt = await send(a_mailbox(mailbox.port))

    (mail,) = mailbox.mails
    assert AttemptOutcome.DELIVERED is receipt.outcome
    assert 250 == receipt.status_code
    assert "250 OK: kept" == receipt.detail
    assert [True] == mailbox.was_encrypted
    assert 1 == len(mailbox.logins)
    assert "[Tocsin] backup_failed on Web server (home)" == mail["Subject"]
    assert "repository is locked by pid 4711" in mail.get_content()


async def test_a_mail_arrives_over_tls_from_the_first_byte() -> None:
    async with running_mailserver(PASSWORD, tls=server_tls()) as mailbox:
        receipt = await send(a_mailbox(mailbox.port, EmailSecurity.TLS))

    assert AttemptOutcome.DELIVERED is receipt.outcome
    assert [True] == mailbox.was_encrypted


async def test_a_mail_arrives_in_clear_text_where_that_was_chosen() -> None:
    async with running_mailserver(PASSWORD, login=False) as mailbox:
        receipt = await send(a_mailbox(mailbox.port, EmailSecurity.NONE, username=""), Secrets())

    assert AttemptOutcome.DELIVERED is receipt.outcome
    assert [False] == mailbox.was_encrypted


@pytest.mark.parametrize("username", ["", "tocsin"])
async def test_nothing_is_sent_when_the_server_offers_no_starttls(username: str) -> None:
    async with running_mailserver(PASSWORD, login=False) as mailbox:
        receipt = await send(a_mailbox(mailbox.port, username=username))

    assert AttemptOutcome.RETRY is receipt.outcome
    assert "STARTTLS" in receipt.detail
    assert [] == mailbox.mails
    assert [] == mailbox.logins


@pytest.mark.parametrize("security", [EmailSecurity.STARTTLS, EmailSecurity.TLS])
async def test_a_certificate_of_another_host_is_not_accepted(security: EmailSecurity) -> None:
    other = server_tls("other.example")
    at_once = security is EmailSecurity.TLS
    async with running_mailserver(
        PASSWORD, tls=other if at_once else None, starttls=None if at_once else other
    ) as mailbox:
        receipt = await send(a_mailbox(mailbox.port, security))

    assert AttemptOutcome.RETRY is receipt.outcome
    assert "certificate" in receipt.detail
    assert [] == mailbox.mails


async def test_all_mails_about_one_alert_make_one_thread(mailbox: Mailbox) -> None:
    channel, sender = a_mailbox(mailbox.port), a_sender()
    for happened in EventType:
        await sender.send(a_notification(happened), channel, MAIL_SECRETS)

    first, *others = mailbox.mails
    assert first["References"] is None
    assert {first["Message-ID"]} == {mail["References"] for mail in others}
    assert {first["Message-ID"]} == {mail["In-Reply-To"] for mail in others}
    assert {"Re: " + first["Subject"]} == {mail["Subject"] for mail in others}
    assert len(EventType) == len({mail["Message-ID"] for mail in mailbox.mails})


async def test_an_alert_that_is_raised_again_by_a_restore_is_no_repetition(
    mailbox: Mailbox,
) -> None:
    channel, sender = a_mailbox(mailbox.port), a_sender()
    for notification in (a_notification(), a_notification(synthetic=True)):
        await sender.send(notification, channel, MAIL_SECRETS)

    first, again = mailbox.mails
    assert first["Message-ID"] != again["Message-ID"]
    assert first["Message-ID"] == again["References"]
    assert first["Subject"] == again["Subject"]


async def test_a_repetition_has_the_same_message_id(mailbox: Mailbox) -> None:
    notification, channel = a_notification(EventType.RESOLVED), a_mailbox(mailbox.port)

    await a_sender().send(notification, channel, MAIL_SECRETS)
    await a_sender().send(notification, channel, MAIL_SECRETS)

    first, second = mailbox.mails
    assert first["Message-ID"] == second["Message-ID"]


async def test_two_alerts_on_one_host_make_two_threads_told_apart(mailbox: Mailbox) -> None:
    channel, sender = a_mailbox(mailbox.port), a_sender()
    other = replace(ALERT, alert_id=channel.channel_id, dedup_key="photos")
    await sender.send(a_notification(), channel, MAIL_SECRETS)
    await sender.send(a_notification(alert=other), channel, MAIL_SECRETS)

    home, photos = mailbox.mails
    assert "(home)" in home["Subject"]
    assert "(photos)" in photos["Subject"]
    assert home["Message-ID"] != photos["Message-ID"]


async def test_line_breaks_in_a_host_name_make_no_header(mailbox: Mailbox) -> None:
    evil = replace(
        ALERT,
        host_name="web\r\nBcc: thief@example.net\r\n\r\nbody",
        dedup_key="{{ 7 * 7 }}\n.\nMAIL FROM:<x@y>",
        message="first\r\n.\r\nRSET\r\nlast {{ config }}",
    )

    receipt = await a_sender().send(
        a_notification(alert=evil), a_mailbox(mailbox.port), MAIL_SECRETS
    )

    (mail,) = mailbox.mails
    assert AttemptOutcome.DELIVERED is receipt.outcome
    assert mail["Bcc"] is None
    assert [["ops@example.org"]] == mailbox.recipients
    assert "{{ 7 * 7 }}" in mail["Subject"]
    assert "first\n.\nRSET\nlast {{ config }}" in mail.get_content().replace("\r\n", "\n")


async def test_a_wrong_password_is_refused_and_never_shown(mailbox: Mailbox) -> None:
    receipt = await send(a_mailbox(mailbox.port), Secrets(password="wrong horse"))

    assert (AttemptOutcome.REFUSED, 535) == (receipt.outcome, receipt.status_code)
    assert "wrong horse" not in receipt.detail


async def test_a_server_that_repeats_the_login_gets_no_password_into_the_record() -> None:
    ended = asyncio.Event()

    async def parrot(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n")
        while line := await reader.readline():
            if line.startswith(b"EHLO"):
                writer.write(b"250-hello\r\n250 AUTH PLAIN\r\n")
            else:
                writer.write(b"535 what is " + line.strip() + b", " + PASSWORD.encode() + b"\r\n")
        writer.close()
        ended.set()

    server = await asyncio.start_server(parrot, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    receipt = await send(a_mailbox(port, EmailSecurity.NONE))
    server.close()
    await ended.wait()

    assert "535 what is AUTH PLAIN (hidden), (hidden)" == receipt.detail


async def test_some_recipients_refused_is_a_delivery_that_says_so(mailbox: Mailbox) -> None:
    mailbox.refuses["gone@example.org"] = "550 5.1.1 no such user"

    receipt = await send(a_mailbox(mailbox.port, to=("ops@example.org", "gone@example.org")))

    assert AttemptOutcome.DELIVERED is receipt.outcome
    assert "not taken for: gone@example.org (550 5.1.1 no such user)" in receipt.detail
    assert [["ops@example.org"]] == mailbox.recipients


async def test_all_recipients_refused_is_a_refusal(mailbox: Mailbox) -> None:
    mailbox.refuses["ops@example.org"] = "550 5.1.1 no such user"

    receipt = await send(a_mailbox(mailbox.port))

    assert (AttemptOutcome.REFUSED, 550) == (receipt.outcome, receipt.status_code)
    assert "ops@example.org (550 5.1.1 no such user)" in receipt.detail


async def test_a_recipient_that_is_refused_for_now_is_tried_again(mailbox: Mailbox) -> None:
    mailbox.refuses["gone@example.org"] = "550 no such user"
    mailbox.refuses["full@example.org"] = "452 mailbox full"

    receipt = await send(a_mailbox(mailbox.port, to=("gone@example.org", "full@example.org")))

    assert (AttemptOutcome.RETRY, 452) == (receipt.outcome, receipt.status_code)


async def test_4xx_to_the_content_is_to_be_tried_again(mailbox: Mailbox) -> None:
    mailbox.data_answer = "451 4.3.0 try later"

    receipt = await send(a_mailbox(mailbox.port))

    assert (AttemptOutcome.RETRY, 451) == (receipt.outcome, receipt.status_code)


async def test_5xx_to_the_content_is_a_refusal(mailbox: Mailbox) -> None:
    mailbox.data_answer = "554 5.7.1 looks like spam"

    receipt = await send(a_mailbox(mailbox.port))

    assert (AttemptOutcome.REFUSED, 554) == (receipt.outcome, receipt.status_code)
    assert "looks like spam" in receipt.detail


async def test_a_connection_lost_after_the_content_leaves_the_outcome_open(
    mailbox: Mailbox,
) -> None:
    mailbox.drop_after_data = True

    receipt = await send(a_mailbox(mailbox.port))

    assert AttemptOutcome.AMBIGUOUS is receipt.outcome
    assert 1 == len(mailbox.mails)


@asynccontextmanager
async def server_that_says(greeting: bytes) -> AsyncIterator[int]:
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(greeting)
            await reader.read()
        finally:
            writer.close()
            ended.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await ended.wait()


@pytest.mark.parametrize(
    "greeting", [b"", b"220-", b"220 mail.example.org ESMTP\r\n"], ids=["none", "half", "whole"]
)
async def test_a_server_that_hangs_before_the_content_is_to_be_tried_again(
    greeting: bytes,
) -> None:
    async with server_that_says(greeting) as port:
        receipt = await send(a_mailbox(port), seconds=0.3)

    assert AttemptOutcome.RETRY is receipt.outcome
    assert "no answer within 0.3 s" in receipt.detail


async def test_a_server_that_is_busy_is_to_be_tried_again() -> None:
    async with server_that_says(b"421 4.3.2 too busy\r\n") as port:
        receipt = await send(a_mailbox(port))

    assert (AttemptOutcome.RETRY, 421) == (receipt.outcome, receipt.status_code)


async def test_a_port_where_nobody_listens_is_to_be_tried_again(unused_tcp_port: int) -> None:
    receipt = await send(a_mailbox(unused_tcp_port))

    assert AttemptOutcome.RETRY is receipt.outcome


async def test_a_private_mail_server_is_not_dialled_unless_it_is_allowed(
    mailbox: Mailbox,
) -> None:
    sender = EmailSender((), clock=SystemClock(), tls=client_tls())

    receipt = await sender.send(a_notification(), a_mailbox(mailbox.port), MAIL_SECRETS)

    assert AttemptOutcome.REFUSED is receipt.outcome
    assert "TOCSIN_NOTIFY_ALLOWED_NETWORKS" in receipt.detail


async def test_the_server_of_these_tests_refuses_a_wrong_password_itself(
    mailbox: Mailbox,
) -> None:
    """So that the tests above prove a login, by another client than ours."""

    def log_in(password: str) -> None:
        with smtplib.SMTP("127.0.0.1", mailbox.port) as client:
            client.starttls(context=client_tls())
            client.login("tocsin", password)

    await asyncio.to_thread(log_in, PASSWORD)
    with pytest.raises(smtplib.SMTPAuthenticationError):
        await asyncio.to_thread(log_in, "wrong horse")
