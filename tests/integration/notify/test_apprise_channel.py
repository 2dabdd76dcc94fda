"""Apprise, where it is installed: it tells little, and what it tells is passed on."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from support.notices import every_kind_of_message
from support.notifications import ALERT, a_channel, a_notification
from support.receiver import Answer, running_receiver
from tocsin.notify.channels.apprise import AppriseSender
from tocsin.notify.domain.channel import AppriseConfig, Secrets
from tocsin.notify.domain.delivery import AttemptOutcome
from tocsin.notify.domain.notification import Severity

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from support.receiver import Receiver
    from tocsin.notify.domain.delivery import Receipt
    from tocsin.notify.domain.notice import Message

pytest.importorskip("apprise")
# Its plugins use what newer versions of Python do without.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

CHANNEL = a_channel(AppriseConfig(1))


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with running_receiver() as running:
        running.always = Answer(200)
        yield running


def url_of(receiver: Receiver, path: str = "/") -> str:
    return f"json://127.0.0.1:{receiver.port}{path}"


async def send(
    urls: str, message: Message | None = None, *, sender: AppriseSender | None = None
) -> Receipt:
    sending = sender or AppriseSender()
    return await sending.send(message or a_notification(), CHANNEL, Secrets(urls=urls))


async def test_it_hands_over_title_text_and_how_bad_it_is(receiver: Receiver) -> None:
    critical = a_notification(alert=replace(ALERT, severity=Severity.CRITICAL))

    receipt = await send(url_of(receiver), critical)

    document = receiver.requests[0].json
    assert AttemptOutcome.DELIVERED is receipt.outcome
    assert "RAISED: backup_failed on Web server (home) [CRITICAL]" == document["title"]
    assert document["message"].startswith("repository is locked by pid 4711")
    assert "failure" == document["type"]


async def test_every_kind_of_message_is_sent(receiver: Receiver) -> None:
    messages = every_kind_of_message()

    receipts = [await send(url_of(receiver), message) for message in messages]

    assert {AttemptOutcome.DELIVERED} == {each.outcome for each in receipts}
    assert len(messages) == len(receiver.requests)
    assert all(request.json["message"] for request in receiver.requests)


async def test_a_template_like_text_arrives_as_it_is_and_mentions_nobody(
    receiver: Receiver,
) -> None:
    said = r"{{ 7*7 }} %s \n {{app_id}} <!channel> @everyone"

    await send(url_of(receiver), a_notification(alert=replace(ALERT, message=said)))

    told = receiver.requests[0].json["message"].partition("\n")[0]
    assert said == told.replace("\u2060", "")
    assert "<\u2060!channel> @\u2060everyone" in told


async def test_each_url_is_sent_to(receiver: Receiver) -> None:
    await send(f"{url_of(receiver, '/a')}\n{url_of(receiver, '/b')}")

    assert {"/a", "/b"} == {request.path.rstrip("/") for request in receiver.requests}


async def test_what_failed_is_tried_again_and_says_what_apprise_logged(
    receiver: Receiver,
) -> None:
    receiver.always = Answer(403)

    receipt = await send(url_of(receiver, "/a-token-of-many-letters"))

    assert (AttemptOutcome.RETRY, 0) == (receipt.outcome, receipt.status_code)
    assert "403" in receipt.detail
    assert "a-token-of-many-letters" not in receipt.detail


async def test_a_url_that_it_does_not_know_is_refused(receiver: Receiver) -> None:
    receipt = await send(f"{url_of(receiver)}\nnosuch://a-token-of-many-letters")

    assert AttemptOutcome.REFUSED is receipt.outcome
    assert "URL 2 of 2" in receipt.detail
    assert "a-token-of-many-letters" not in receipt.detail
    assert [] == receiver.requests


async def test_what_does_not_come_to_an_end_is_left_and_bounded(receiver: Receiver) -> None:
    receiver.always = Answer(hold=asyncio.Event())
    sender = AppriseSender(seconds=0.2)

    receipts = await asyncio.gather(*(send(url_of(receiver), sender=sender) for _ in range(33)))

    outcomes = [each.outcome for each in receipts]
    assert 32 == outcomes.count(AttemptOutcome.AMBIGUOUS)
    assert 1 == outcomes.count(AttemptOutcome.RETRY)


async def test_without_the_package_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)

    receipt = await send("json://127.0.0.1/")

    assert AttemptOutcome.RETRY is receipt.outcome
    assert "apprise is not installed" in receipt.detail
