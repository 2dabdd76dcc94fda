"""Webhooks against real receivers that answer, hang, dribble, flood, redirect and break."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import threading
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from standardwebhooks import Webhook

from support.certificates import client_tls, server_tls
from support.clock import ManualClock
from support.notifications import (
    FORMER_SECRET,
    LOOPBACK,
    SECRET,
    WEBHOOK_SECRETS,
    a_channel,
    a_notification,
    a_webhook,
)
from support.receiver import Answer, running_receiver
from support.waiting import eventually
from tocsin.common.clock import SystemClock
from tocsin.notify.channels.http import GuardedHttp
from tocsin.notify.channels.webhook import WebhookSender
from tocsin.notify.domain.channel import Secrets, WebhookConfig, rotate
from tocsin.notify.domain.delivery import AttemptOutcome

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from support.receiver import Receiver
    from tocsin.notify.domain.delivery import Receipt

    Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with running_receiver() as running:
        yield running


def a_sender(seconds: float = 10.0) -> WebhookSender:
    http = GuardedHttp(LOOPBACK, clock=SystemClock(), tls=client_tls(), seconds=seconds)
    return WebhookSender(http, clock=SystemClock())


async def send(url: str, seconds: float = 10.0) -> Receipt:
    return await a_sender(seconds).send(a_notification(), a_webhook(url), WEBHOOK_SECRETS)


@asynccontextmanager
async def raw_server(behave: Behaviour) -> AsyncIterator[str]:
    """Run a TCP server that does anything with a connection but speak HTTP."""
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await behave(reader, writer)
        finally:
            writer.close()
            ended.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}/"
    finally:
        server.close()
        await ended.wait()


async def test_a_receiver_gets_a_signed_cloudevent(receiver: Receiver) -> None:
    notification = a_notification()

    receipt = await a_sender().send(notification, a_webhook(receiver.url), WEBHOOK_SECRETS)

    (request,) = receiver.requests
    event = Webhook(SECRET).verify(request.body, dict(request.headers))
    assert AttemptOutcome.DELIVERED is receipt.outcome
    assert 204 == receipt.status_code
    assert "POST" == request.method
    assert request.headers["content-type"].startswith("application/cloudevents+json")
    assert str(notification.event_id) == request.webhook_id == event["id"]
    assert "home" == event["data"]["alert"]["dedup_key"]


async def test_a_body_that_was_changed_on_the_way_fails_the_verification(
    receiver: Receiver,
) -> None:
    await send(receiver.url)
    (request,) = receiver.requests

    with pytest.raises(Exception, match="No matching signature"):
        Webhook(SECRET).verify(request.body.replace(b"home", b"away"), dict(request.headers))


async def test_both_secrets_sign_while_one_replaces_the_other(receiver: Receiver) -> None:
    now = SystemClock().now()
    config, secrets = rotate(
        WebhookConfig(receiver.url), Secrets(signing_secret=FORMER_SECRET), SECRET, now
    )

    await a_sender().send(a_notification(), a_channel(config), secrets)

    (request,) = receiver.requests
    assert Webhook(SECRET).verify(request.body, dict(request.headers))
    assert Webhook(FORMER_SECRET).verify(request.body, dict(request.headers))


async def test_the_former_secret_signs_no_more_after_24_hours(receiver: Receiver) -> None:
    clock = ManualClock()
    config, secrets = rotate(
        WebhookConfig(receiver.url), Secrets(signing_secret=FORMER_SECRET), SECRET, clock.now()
    )
    sender = WebhookSender(GuardedHttp(LOOPBACK, clock=clock), clock=clock)

    clock.advance(timedelta(hours=24) - timedelta(microseconds=1))
    await sender.send(a_notification(), a_channel(config), secrets)
    clock.advance(timedelta(microseconds=1))
    await sender.send(a_notification(), a_channel(config), secrets)

    signatures = [request.headers["webhook-signature"] for request in receiver.requests]
    assert [2, 1] == [len(each.split(" ")) for each in signatures]


async def test_a_repetition_has_the_same_id_and_body(receiver: Receiver) -> None:
    notification, channel = a_notification(), a_webhook(receiver.url)

    await a_sender().send(notification, channel, WEBHOOK_SECRETS)
    await a_sender().send(notification, channel, WEBHOOK_SECRETS)

    first, second = receiver.requests
    assert first.webhook_id == second.webhook_id
    assert first.body == second.body


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_every_2xx_is_success(receiver: Receiver, status: int) -> None:
    receiver.always = Answer(status)

    receipt = await send(receiver.url)

    assert (AttemptOutcome.DELIVERED, status) == (receipt.outcome, receipt.status_code)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
async def test_what_may_pass_is_to_be_tried_again(receiver: Receiver, status: int) -> None:
    receiver.always = Answer(status, body=b"come back later")

    receipt = await send(receiver.url)

    assert (AttemptOutcome.RETRY, status) == (receipt.outcome, receipt.status_code)
    assert "come back later" in receipt.detail


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 413, 422, 451])
async def test_other_4xx_are_refusals(receiver: Receiver, status: int) -> None:
    receiver.always = Answer(status)

    receipt = await send(receiver.url)

    assert (AttemptOutcome.REFUSED, status) == (receipt.outcome, receipt.status_code)
    assert not receipt.disable_channel


async def test_410_asks_never_to_be_called_again(receiver: Receiver) -> None:
    receiver.always = Answer(410)

    receipt = await send(receiver.url)

    assert AttemptOutcome.REFUSED is receipt.outcome
    assert receipt.disable_channel


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_a_failure_and_is_not_followed(receiver: Receiver, status: int) -> None:
    receiver.always = Answer(status, {"location": receiver.url + "/elsewhere"})

    receipt = await send(receiver.url + "/here")

    assert AttemptOutcome.REFUSED is receipt.outcome
    assert ["/here"] == [request.path for request in receiver.requests]
    assert "redirects to " + receiver.url in receipt.detail


async def test_retry_after_in_seconds_is_handed_on(receiver: Receiver) -> None:
    receiver.always = Answer(429, {"retry-after": "120"})

    receipt = await send(receiver.url)

    assert timedelta(seconds=120) == receipt.retry_after


async def test_retry_after_as_a_date_is_handed_on(receiver: Receiver) -> None:
    clock = ManualClock(datetime.fromisoformat("2026-05-01T12:00:00+00:00"))
    receiver.always = Answer(503, {"retry-after": "Fri, 01 May 2026 12:05:00 GMT"})

    receipt = await WebhookSender(GuardedHttp(LOOPBACK, clock=clock), clock=clock).send(
        a_notification(), a_webhook(receiver.url), WEBHOOK_SECRETS
    )

    assert timedelta(minutes=5) == receipt.retry_after


async def test_a_receiver_that_hangs_is_left_and_nobody_knows_what_it_did(
    receiver: Receiver,
) -> None:
    receiver.always = Answer(hold=asyncio.Event())

    receipt = await send(receiver.url, seconds=0.3)

    assert AttemptOutcome.AMBIGUOUS is receipt.outcome
    assert "no answer within 0.3 s" in receipt.detail


async def test_an_answer_that_dribbles_is_cut_by_the_total_time(receiver: Receiver) -> None:
    async def dribble(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=503)
        await response.prepare(request)
        await response.write(b"drip ")
        await asyncio.Event().wait()
        return response

    receiver.respond = dribble
    begun = asyncio.get_running_loop().time()

    receipt = await send(receiver.url, seconds=0.3)

    assert asyncio.get_running_loop().time() - begun < 5
    assert (AttemptOutcome.RETRY, 503) == (receipt.outcome, receipt.status_code)
    assert receipt.detail.endswith("drip")


async def test_a_header_that_dribbles_is_cut_by_the_total_time() -> None:
    async def dribble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nx-endless: ")
        await reader.read()

    async with raw_server(dribble) as url:
        receipt = await send(url, seconds=0.3)

    assert AttemptOutcome.AMBIGUOUS is receipt.outcome


async def test_of_50_mib_only_the_first_words_are_kept(receiver: Receiver) -> None:
    written = 0

    async def flood(request: web.Request) -> web.StreamResponse:
        nonlocal written
        response = web.StreamResponse()
        await response.prepare(request)
        with suppress(ConnectionError):
            for _ in range(50):
                await response.write(b"x" * (1 << 20))
                written += 1
        return response

    receiver.respond = flood

    receipt = await send(receiver.url)

    assert AttemptOutcome.DELIVERED is receipt.outcome
    assert 1024 == len(receipt.detail)
    assert written < 50


async def test_a_packed_answer_is_not_unpacked(receiver: Receiver) -> None:
    receiver.always = Answer(500, {"content-encoding": "gzip"}, gzip.compress(b"bomb " * 100_000))

    receipt = await send(receiver.url)

    assert "identity" == receiver.requests[0].headers["accept-encoding"]
    assert (AttemptOutcome.RETRY, 500) == (receipt.outcome, receipt.status_code)
    assert "bomb bomb" not in receipt.detail


async def test_what_is_kept_of_an_answer_is_one_printable_line(receiver: Receiver) -> None:
    receiver.always = Answer(500, body=b"a\x00b\r\n\x1b[31mc \xff")

    receipt = await send(receiver.url)

    assert "500 Internal Server Error: a b [31mc \N{REPLACEMENT CHARACTER}" == receipt.detail


async def test_a_connection_cut_after_the_request_leaves_the_outcome_open(
    receiver: Receiver,
) -> None:
    receiver.always = Answer(drop=True)

    receipt = await send(receiver.url)

    assert AttemptOutcome.AMBIGUOUS is receipt.outcome


async def test_an_answer_that_is_no_http_leaves_the_outcome_open() -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"220 mail.example.org ESMTP\r\n\r\n")

    async with raw_server(babble) as url:
        receipt = await send(url)

    assert AttemptOutcome.AMBIGUOUS is receipt.outcome


async def test_a_port_where_nobody_listens_is_to_be_tried_again(unused_tcp_port: int) -> None:
    receipt = await send(f"http://127.0.0.1:{unused_tcp_port}/")

    assert AttemptOutcome.RETRY is receipt.outcome
    assert receipt.detail.startswith("Not connected")


async def test_a_name_that_does_not_exist_is_to_be_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unknown(*_: object, **__: object) -> object:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)

    receipt = await send("http://does-not-exist.invalid/")

    assert AttemptOutcome.RETRY is receipt.outcome


async def test_names_whose_servers_are_silent_delay_no_other(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, asked = threading.Event(), list[str]()
    real = socket.getaddrinfo

    def half_dead(host: str, *given: Any, **options: Any) -> object:
        asked.append(host)
        if host.startswith("silent"):
            answer.wait()
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return real("127.0.0.1", *given, **options)

    monkeypatch.setattr(socket, "getaddrinfo", half_dead)
    sender = a_sender()

    async def post(host: str) -> Receipt:
        webhook = a_webhook(f"http://{host}:{receiver.port}/")
        return await sender.send(a_notification(), webhook, WEBHOOK_SECRETS)

    stuck = [asyncio.create_task(post(f"silent-{number % 2}.example")) for number in range(80)]
    await eventually(lambda: len(asked) == 2)

    async with asyncio.timeout(5):
        receipt = await post("works.example")

    assert AttemptOutcome.DELIVERED is receipt.outcome
    assert {"silent-0.example", "silent-1.example", "works.example"} == set(asked)
    assert 3 == len(asked)
    answer.set()
    assert {AttemptOutcome.RETRY} == {each.outcome for each in await asyncio.gather(*stuck)}


async def test_a_tls_handshake_that_hangs_is_to_be_tried_again() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with raw_server(silent) as url:
        receipt = await send(url.replace("http:", "https:"), seconds=0.3)

    assert AttemptOutcome.RETRY is receipt.outcome


async def test_https_is_verified() -> None:
    async with running_receiver(server_tls()) as receiver:
        receipt = await send(receiver.url)

    assert AttemptOutcome.DELIVERED is receipt.outcome


async def test_a_certificate_of_another_host_is_refused_before_anything_is_sent() -> None:
    async with running_receiver(server_tls("other.example")) as receiver:
        receipt = await send(receiver.url)

    assert AttemptOutcome.RETRY is receipt.outcome
    assert "certificate" in receipt.detail
    assert [] == receiver.requests


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("127.0.0.1", "is not public"),
        ("localhost", "is not public"),
        ("0x7f.1", "is not public"),
        ("[::ffff:127.0.0.1]", "is not public"),
        ("0.0.0.0", "is not public"),
        ("[::]", "is not public"),
        ("[::1]", "is not public"),
        ("127.1", "cannot be used"),
        ("2130706433", "cannot be used"),
        ("0177.0.0.1", "cannot be used"),
        ("127.0.0.1.", "cannot be used"),
    ],
)
async def test_no_way_to_write_a_private_host_gets_past_the_guard(
    receiver: Receiver, host: str, said: str
) -> None:
    sender = WebhookSender(GuardedHttp((), clock=SystemClock()), clock=SystemClock())

    receipt = await sender.send(
        a_notification(), a_webhook(f"http://{host}:{receiver.port}/"), WEBHOOK_SECRETS
    )

    assert [] == receiver.requests
    assert AttemptOutcome.REFUSED is receipt.outcome
    assert said in receipt.detail


async def test_a_name_that_resolves_to_a_private_address_after_all_is_refused(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: what a name resolved to before means nothing."""
    answers = iter(["8.8.8.8", "127.0.0.1"])
    real = socket.getaddrinfo

    def rebinding(host: str, port: int, **options: Any) -> object:
        assert "rebind.example" == host
        return real(next(answers), port, **options)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    socket.getaddrinfo("rebind.example", receiver.port)
    sender = WebhookSender(GuardedHttp((), clock=SystemClock()), clock=SystemClock())

    receipt = await sender.send(
        a_notification(), a_webhook(f"http://rebind.example:{receiver.port}/"), WEBHOOK_SECRETS
    )

    assert AttemptOutcome.REFUSED is receipt.outcome
    assert [] == receiver.requests


async def test_no_proxy_is_taken_from_the_environment(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_receiver() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        receipt = await send(receiver.url)

        assert [] == proxy.requests
    assert AttemptOutcome.DELIVERED is receipt.outcome


async def test_a_secret_that_a_receiver_echoes_is_not_kept(receiver: Receiver) -> None:
    receiver.always = Answer(500, body=f"your secret is {SECRET}".encode())

    receipt = await send(receiver.url)

    assert SECRET not in receipt.detail
    assert "your secret is (hidden)" in receipt.detail


async def test_the_body_is_the_whole_alert(receiver: Receiver) -> None:
    await send(receiver.url)

    alert = json.loads(receiver.requests[0].body)["data"]["alert"]
    assert "repository is locked by pid 4711" == alert["message"]
    assert "2026-01-31T22:15:00.000000Z" == alert["raise_time"]
    assert alert["resolve_time"] is None
