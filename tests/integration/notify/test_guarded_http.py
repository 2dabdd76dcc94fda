"""What every channel that speaks HTTP can rely on, beyond what the webhook's tests show."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from support.clock import START, ManualClock
from support.notifications import LOOPBACK
from support.receiver import Answer, running_receiver
from tocsin.notify.channels.base import delivered
from tocsin.notify.channels.http import GuardedHttp, HttpRequest, json_request
from tocsin.notify.domain.channel import Secrets

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

    from support.receiver import Receiver
    from tocsin.notify.channels.judging import HttpAnswer
    from tocsin.notify.domain.delivery import Receipt


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with running_receiver() as running:
        yield running


def a_guarded_http() -> GuardedHttp:
    return GuardedHttp(LOOPBACK, clock=ManualClock())


async def test_a_request_has_the_method_headers_and_body_that_it_was_given(
    receiver: Receiver,
) -> None:
    ping = HttpRequest(f"{receiver.url}/ping?rid=1", headers={"x-one": "1"}, method="GET")

    await a_guarded_http().call(ping, Secrets())

    (request,) = receiver.requests
    assert ("GET", "/ping?rid=1", b"") == (request.method, request.path, request.body)
    assert ("1", "tocsin-notify") == (request.headers["x-one"], request.headers["user-agent"])


async def test_a_document_is_sent_as_json_in_utf_8(receiver: Receiver) -> None:
    await a_guarded_http().call(json_request(receiver.url, {"text": "Müller\ud800"}), Secrets())

    (request,) = receiver.requests
    assert "application/json; charset=utf-8" == request.headers["content-type"]
    assert '{"text":"Müller?"}'.encode() == request.body


async def test_a_channel_may_judge_an_answer_by_itself(receiver: Receiver) -> None:
    judged: list[tuple[HttpAnswer, datetime]] = []
    receiver.always = Answer(418, {"X-Reason": "short and stout"}, b'{\n "ok": true}')

    def judge(answer: HttpAnswer, now: datetime) -> Receipt:
        judged.append((answer, now))
        return delivered("taken")

    receipt = await a_guarded_http().call(HttpRequest(receiver.url), Secrets(), judge)

    ((answer, now),) = judged
    assert delivered("taken") == receipt
    assert (418, '{\n "ok": true}', START) == (answer.status, answer.body, now)
    assert "short and stout" == answer.headers["x-reason"]


async def test_what_authorizes_a_request_is_not_told_when_it_is_echoed(receiver: Receiver) -> None:
    login = "Basic " + base64.b64encode(b"tocsin:correct horse").decode()

    async def echo(request: web.Request) -> web.Response:
        return web.Response(status=401, text=f"not for {request.headers['authorization']}")

    receiver.respond = echo
    request = HttpRequest(receiver.url, headers={"authorization": login})

    receipt = await a_guarded_http().call(request, Secrets(password="correct horse"))

    assert "401 Unauthorized: not for (hidden)" == receipt.detail


async def test_a_token_at_the_end_of_what_is_kept_is_not_cut_in_two(receiver: Receiver) -> None:
    token = "0123456789" * 5
    receiver.always = Answer(500, body=b"." * (1_024 - 60) + token.encode())

    receipt = await a_guarded_http().call(HttpRequest(receiver.url), Secrets(token=token))

    assert "0123" not in receipt.detail
