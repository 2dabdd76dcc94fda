"""docs/webhooks.md: what it shows is what is sent, and its code verifies it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from support.notices import every_kind_of_message
from support.notifications import LOOPBACK, SECRET, WEBHOOK_SECRETS, a_notification, a_webhook
from support.receiver import Received, running_receiver
from tocsin.common.clock import SystemClock
from tocsin.notify.channels.cloudevent import cloudevent
from tocsin.notify.channels.http import GuardedHttp
from tocsin.notify.channels.webhook import WebhookSender
from tocsin.notify.domain.notice import Message, NoticeType
from tocsin.notify.domain.notification import EventType

GUIDE = (Path(__file__).parents[3] / "docs" / "webhooks.md").read_text()
PROGRAMS = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)


@pytest.fixture
async def request_() -> Received:
    async with running_receiver() as receiver:
        sender = WebhookSender(GuardedHttp(LOOPBACK, clock=SystemClock()), clock=SystemClock())
        await sender.send(a_notification(), a_webhook(receiver.url), WEBHOOK_SECRETS)
        return receiver.requests[0]


def verified(program: str, headers: dict[str, str], body: bytes) -> Any:
    names: dict[str, Any] = {}
    exec(program, names)
    return names["verified"](SECRET, headers, body)


def test_it_shows_the_body_that_is_sent() -> None:
    (shown,) = re.findall(r"```json\n(.*?)```", GUIDE, re.DOTALL)
    sent = json.loads(cloudevent(a_notification()))

    def without_ids(event: dict[str, Any]) -> dict[str, Any]:
        data = {**event["data"], "event_id": "", "position": ""}
        return {**event, "id": "", "data": data}

    assert without_ids(json.loads(shown)) == without_ids(sent)


def test_it_names_every_type_of_event() -> None:
    types = [*EventType, *NoticeType]
    assert [] == [each for each in types if f"`{each.dotted}`" not in GUIDE]


def names_in(document: Any) -> set[str]:
    """Return the names of the fields, those of maps of counts left out."""
    if isinstance(document, list):
        return set().union(*map(names_in, document))
    if not isinstance(document, dict):
        return set()
    inside = [names_in(value) for name, value in document.items() if name != "counts"]
    return set(document).union(*inside)


@pytest.mark.parametrize("message", every_kind_of_message(), ids=lambda each: each.event_type)
def test_it_names_every_field(message: Message) -> None:
    fields = names_in(json.loads(cloudevent(message)))

    assert set() == {each for each in fields if not re.search(rf'[`".]{each}[`"]', GUIDE)}


def test_it_shows_two_ways_to_verify() -> None:
    assert 2 == len(PROGRAMS)


@pytest.mark.parametrize("program", PROGRAMS)
async def test_its_code_takes_what_is_sent(program: str, request_: Received) -> None:
    event = verified(program, dict(request_.headers), request_.body)

    assert "alert.raised" == event["type"]


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("webhook-signature", "v1,AAAA"),
        ("webhook-id", "other"),
        ("webhook-timestamp", "1000000000"),
    ],
)
async def test_its_code_refuses_what_was_forged(
    program: str, header: str, value: str, request_: Received
) -> None:
    with pytest.raises(Exception, match=r"(?i)signature|timestamp"):
        verified(program, {**request_.headers, header: value}, request_.body)
