"""Every channel that sends JSON sends what its vendor documents, whatever a text holds."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from support.certificates import client_tls, server_tls
from support.chats import CHATS, NTFY_TOKEN, Chat
from support.notices import a_digest, a_digest_line, a_proof, a_proof_line, every_kind_of_message
from support.notifications import ALERT, LOOPBACK, a_notification
from support.receiver import Answer, running_receiver
from tocsin.common.clock import SystemClock
from tocsin.notify.channels.http import GuardedHttp
from tocsin.notify.domain.delivery import AttemptOutcome
from tocsin.notify.domain.notification import AlertStatus, EventType, Severity

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from support.receiver import Receiver
    from tocsin.notify.domain.delivery import Receipt
    from tocsin.notify.domain.notice import Message

TEMPLATES = "{{ 7*7 }} %s ${HOME} <!channel> <@U1> @everyone @here **b** _i_ `c` [x](http://evil)"


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with running_receiver() as running:
        yield running


@pytest.fixture(params=CHATS)
def chat(request: pytest.FixtureRequest) -> Chat:
    return CHATS[request.param]


async def send(
    chat: Chat,
    url: str,
    message: Message | None = None,
    *,
    allowed: Any = LOOPBACK,
    seconds: float = 10.0,
) -> Receipt:
    http = GuardedHttp(allowed, clock=SystemClock(), tls=client_tls(), seconds=seconds)
    sender = chat.make(http)
    return await sender.send(message or a_notification(), chat.channel(url), chat.secrets(url))


async def test_the_request_has_the_method_path_headers_and_body_that_the_vendor_documents(
    receiver: Receiver, chat: Chat
) -> None:
    receipt = await send(chat, receiver.url)

    (request,) = receiver.requests
    assert AttemptOutcome.DELIVERED is receipt.outcome
    assert "POST" == request.method
    assert "application/json" == request.headers["content-type"].partition(";")[0]
    told = str(chat.check(request.body))
    assert "RAISED" in told
    assert "repository is locked by pid 4711" in told
    assert "home" in told


async def test_the_path_is_asked_for_as_it_was_given(receiver: Receiver, chat: Chat) -> None:
    await send(chat, receiver.url)

    assert chat.path.replace("%2F", "/") == receiver.requests[0].path.replace("%2F", "/")


async def test_every_kind_of_message_has_that_shape(receiver: Receiver, chat: Chat) -> None:
    messages = every_kind_of_message()

    for message in messages:
        await send(chat, receiver.url, message)

    assert len(messages) == len(receiver.requests)
    for request in receiver.requests:
        chat.check(request.body)


@pytest.mark.parametrize(
    "text", ["\"\\'" * 20_000, "&<>" * 20_000, "_*~`" * 9_999, "\N{BELL}é" * 9_999]
)
async def test_endless_texts_are_cut_to_what_the_vendor_takes(
    receiver: Receiver, chat: Chat, text: str
) -> None:
    lines = "\n".join([text] * 50)
    alert = replace(ALERT, host_name=text[:256], dedup_key=text[:256], message=lines, cause=text)

    listed = a_digest_line(host_name=text[:256], dedup_key=text[:256], message=text)
    digest = a_digest(500, lines=(listed,) * 50, group=text)
    proof = a_proof(*([a_proof_line(host_name='"', source_group=text[:256])] * 200))

    for message in (a_notification(alert=alert, note=text), digest, proof):
        await send(chat, receiver.url, message)

    for request in receiver.requests:
        chat.check(request.body)


async def test_a_template_like_text_is_no_template_and_pings_nobody(
    receiver: Receiver, chat: Chat
) -> None:
    alert = replace(ALERT, host_name=TEMPLATES, dedup_key=TEMPLATES, message=TEMPLATES)

    await send(chat, receiver.url, a_notification(alert=alert))

    document = chat.check(receiver.requests[0].body)
    assert "{{ 7*7 }} %s ${HOME}" in str(document).replace("\\", "")


async def test_slack_is_given_no_character_that_begins_a_mention(receiver: Receiver) -> None:
    alert = replace(ALERT, host_name=TEMPLATES, message=TEMPLATES)

    await send(CHATS["slack"], receiver.url, a_notification(alert=alert))

    document = receiver.requests[0].json
    texts = [document["text"]]
    for block in (*document["blocks"], *document["attachments"][0]["blocks"]):
        assert "plain_text" == block["text"]["type"]
        texts.append(block["text"]["text"])
    assert all("&lt;!channel&gt;" in each for each in texts)
    assert not any("<" in each or ">" in each for each in texts)


async def test_discord_is_told_to_ping_nobody_and_shows_no_markup(receiver: Receiver) -> None:
    alert = replace(ALERT, host_name=TEMPLATES, message=TEMPLATES)

    await send(CHATS["discord"], receiver.url, a_notification(alert=alert))

    document = receiver.requests[0].json
    assert {"parse": []} == document["allowed_mentions"]
    for each in (document["content"], document["embeds"][0]["description"]):
        assert r"\<!channel> \<\@U1> \@everyone \@here \*\*b\*\* \_i\_ \`c\` \[x]" in each


async def test_teams_gets_text_runs_in_which_nothing_is_markup(receiver: Receiver) -> None:
    alert = replace(ALERT, message="{{DATE(2017-02-14T06:08:39Z, SHORT)}} <at>all</at> **b**")

    await send(CHATS["teams"], receiver.url, a_notification(alert=alert))

    card = receiver.requests[0].json["attachments"][0]["content"]
    (said,) = card["body"][1]["inlines"]
    assert "{\u2060{DATE(2017-02-14T06:08:39Z, SHORT)}} <at>all</at> **b**" == said["text"]
    assert {"RichTextBlock"} == {block["type"] for block in card["body"]}


@pytest.mark.parametrize(
    ("severity", "priority", "tag"),
    [
        (Severity.INFO, 3, "information_source"),
        (Severity.WARNING, 4, "warning"),
        (Severity.CRITICAL, 5, "rotating_light"),
    ],
)
async def test_ntfy_has_the_severity_as_its_priority(
    receiver: Receiver, severity: Severity, priority: int, tag: str
) -> None:
    raised = a_notification(alert=replace(ALERT, severity=severity))

    await send(CHATS["ntfy"], receiver.url, raised)

    document = receiver.requests[0].json
    assert (priority, [tag]) == (document["priority"], document["tags"])


async def test_what_is_over_looks_like_it(receiver: Receiver) -> None:
    over = a_notification(EventType.RESOLVED, alert=replace(ALERT, status=AlertStatus.RESOLVED))

    for name in ("ntfy", "slack", "discord", "teams"):
        await send(CHATS[name], receiver.url, over)

    ntfy, slack, discord, teams = (request.json for request in receiver.requests)
    assert ["white_check_mark"] == ntfy["tags"]
    assert "#2f855a" == slack["attachments"][0]["color"]
    assert 0x2F855A == discord["embeds"][0]["color"]
    assert "Good" == teams["attachments"][0]["content"]["body"][0]["inlines"][0]["color"]


async def test_ntfy_is_given_its_token_as_a_bearer_and_none_without_one(receiver: Receiver) -> None:
    chat = CHATS["ntfy"]
    anonymous = replace(chat, secrets=lambda _: replace(chat.secrets(""), token=""))

    await send(chat, receiver.url)
    await send(anonymous, receiver.url)

    with_token, without = receiver.requests
    assert f"Bearer {NTFY_TOKEN}" == with_token.headers["authorization"]
    assert "authorization" not in without.headers


async def test_retry_after_is_read_from_the_header(receiver: Receiver, chat: Chat) -> None:
    receiver.always = Answer(429, {"retry-after": "30"}, b"slow down")

    receipt = await send(chat, receiver.url)

    assert (AttemptOutcome.RETRY, 429) == (receipt.outcome, receipt.status_code)
    assert timedelta(seconds=30) == receipt.retry_after


async def test_discord_writes_the_wait_into_the_body(receiver: Receiver) -> None:
    body = b'{"message": "You are being rate limited.", "retry_after": 64.57, "global": false}'
    receiver.always = Answer(429, {"retry-after": "65"}, body)

    receipt = await send(CHATS["discord"], receiver.url)

    assert timedelta(seconds=64.57) == receipt.retry_after


async def test_a_discord_webhook_that_was_deleted_is_not_called_again(receiver: Receiver) -> None:
    receiver.script(
        Answer(404, {}, b'{"message": "Unknown Webhook", "code": 10015}'),
        Answer(404, {}, b'{"message": "Unknown Channel", "code": 10003}'),
        Answer(404, {}, b"[]"),
    )

    receipts = [await send(CHATS["discord"], receiver.url) for _ in range(3)]

    assert {AttemptOutcome.REFUSED} == {each.outcome for each in receipts}
    assert [True, False, False] == [each.disable_channel for each in receipts]


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, AttemptOutcome.DELIVERED),
        (202, AttemptOutcome.DELIVERED),
        (400, AttemptOutcome.REFUSED),
        (403, AttemptOutcome.REFUSED),
        (404, AttemptOutcome.REFUSED),
        (410, AttemptOutcome.REFUSED),
        (500, AttemptOutcome.RETRY),
        (503, AttemptOutcome.RETRY),
    ],
)
async def test_an_answer_is_classified_and_told(
    receiver: Receiver, chat: Chat, status: int, outcome: AttemptOutcome
) -> None:
    receiver.always = Answer(status, {}, b"channel_is_archived")

    receipt = await send(chat, receiver.url)

    assert (outcome, status) == (receipt.outcome, receipt.status_code)
    assert "channel_is_archived" in receipt.detail
    assert (status == 410) == receipt.disable_channel


async def test_a_private_address_is_refused_before_anything_is_sent(
    receiver: Receiver, chat: Chat
) -> None:
    receipt = await send(chat, receiver.url, allowed=())

    assert AttemptOutcome.REFUSED is receipt.outcome
    assert "is not public" in receipt.detail
    assert [] == receiver.requests


async def test_a_redirect_to_a_private_address_is_not_followed(
    receiver: Receiver, chat: Chat
) -> None:
    receiver.always = Answer(307, {"location": f"{receiver.url}/latest/meta-data"})

    receipt = await send(chat, receiver.url)

    assert AttemptOutcome.REFUSED is receipt.outcome
    assert f"redirects to {receiver.url}/latest/meta-data are not followed" in receipt.detail
    assert 1 == len(receiver.requests)


async def test_a_certificate_that_does_not_verify_gets_nothing(chat: Chat) -> None:
    async with running_receiver(server_tls("other.example")) as receiver:
        receipt = await send(chat, receiver.url)

    assert AttemptOutcome.RETRY is receipt.outcome
    assert "certificate" in receipt.detail
    assert [] == receiver.requests


async def test_of_50_mib_only_the_first_words_are_kept(receiver: Receiver, chat: Chat) -> None:
    written = 0

    async def flood(request: web.Request) -> web.StreamResponse:
        nonlocal written
        response = web.StreamResponse(status=500)
        await response.prepare(request)
        with suppress(ConnectionError):
            for _ in range(50):
                await response.write(b"x" * (1 << 20))
                written += 1
        return response

    receiver.respond = flood

    receipt = await send(chat, receiver.url)

    assert (AttemptOutcome.RETRY, 500) == (receipt.outcome, receipt.status_code)
    assert 1_024 == len(receipt.detail)
    assert written < 50


async def test_a_body_that_dribbles_is_left_in_time(receiver: Receiver, chat: Chat) -> None:
    async def dribble(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        with suppress(ConnectionError):
            while True:
                await response.write(b".")
                await asyncio.sleep(1)
        return response

    receiver.respond = dribble

    async with asyncio.timeout(60):
        receipt = await send(chat, receiver.url, seconds=0.5)

    assert (AttemptOutcome.DELIVERED, 200) == (receipt.outcome, receipt.status_code)


async def test_a_far_side_that_hangs_is_left_and_nobody_knows_what_it_did(
    receiver: Receiver, chat: Chat
) -> None:
    receiver.always = Answer(hold=asyncio.Event())

    receipt = await send(chat, receiver.url, seconds=0.5)

    assert AttemptOutcome.AMBIGUOUS is receipt.outcome


async def test_no_secret_is_kept_of_an_answer_that_tells_the_request(
    receiver: Receiver, chat: Chat
) -> None:
    async def echo(request: web.Request) -> web.Response:
        told = f"cannot {request.method} {request.url} {request.headers.get('authorization')}"
        return web.Response(status=500, reason=f"no {chat.token}", text=told)

    receiver.respond = echo

    receipt = await send(chat, receiver.url)

    assert "cannot POST" in receipt.detail
    assert "(hidden)" in receipt.detail
    assert chat.token not in receipt.detail


async def test_no_secret_is_told_of_an_answer_that_is_no_http(chat: Chat) -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readuntil(b"\r\n")
        writer.write(b"220 mail.example.org ESMTP " + asked + chat.token.encode() + b"\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(babble, "127.0.0.1", 0) as server:
        receipt = await send(chat, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")

    assert AttemptOutcome.AMBIGUOUS is receipt.outcome
    assert chat.token not in receipt.detail


async def test_a_sender_is_given_only_channels_of_its_own_type(chat: Chat) -> None:
    other = CHATS["slack"] if chat is not CHATS["slack"] else CHATS["teams"]
    sender = chat.make(GuardedHttp((), clock=SystemClock()))

    with pytest.raises(TypeError, match="not a"):
        await sender.send(a_notification(), other.channel(""), other.secrets(""))
