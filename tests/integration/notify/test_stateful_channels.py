"""PagerDuty, Alertmanager and Healthchecks keep the state of an alert; Telegram and Gotify do not.

What is common to all is in test_chat_channels.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from support.alertmanager import program, running_alertmanager
from support.chats import CHATS
from support.notices import a_digest, a_flap_notice, a_proof, every_kind_of_message
from support.notifications import ALERT, AT, LOOPBACK, a_channel, a_notification
from support.processes import free_port
from support.receiver import Answer, running_receiver
from support.waiting import eventually
from tocsin.common.clock import SystemClock
from tocsin.notify.channels.alertmanager import AlertmanagerSender
from tocsin.notify.channels.alertmanager_alerts import alerts_of
from tocsin.notify.channels.healthchecks import HealthchecksSender
from tocsin.notify.channels.http import GuardedHttp
from tocsin.notify.domain.channel import (
    AlertmanagerConfig,
    HealthchecksConfig,
    Secrets,
    SlackConfig,
    TelegramConfig,
)
from tocsin.notify.domain.delivery import AttemptOutcome
from tocsin.notify.domain.notice import NoticeType
from tocsin.notify.domain.notification import AlertStatus, EventType, Notification, Severity

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from support.receiver import Receiver
    from tocsin.notify.domain.delivery import Receipt
    from tocsin.notify.domain.notice import Message

PING = "/5bf66975-d4c7-4bf5-bcc8-b8d8a82ea278"

ACKNOWLEDGED = a_notification(
    EventType.ACKNOWLEDGED, alert=replace(ALERT, status=AlertStatus.ACKNOWLEDGED)
)
OVER = replace(ALERT, status=AlertStatus.RESOLVED, resolve_time=AT + timedelta(hours=1))
RESOLVED = a_notification(EventType.RESOLVED, alert=OVER, occur_time=AT + timedelta(hours=1))


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with running_receiver() as running:
        yield running


def http() -> GuardedHttp:
    return GuardedHttp(LOOPBACK, clock=SystemClock())


async def send(name: str, url: str, *messages: Message) -> list[Receipt]:
    chat = CHATS[name]
    sender = chat.make(http())
    return [await sender.send(each, chat.channel(url), chat.secrets(url)) for each in messages]


async def ping(url: str, *messages: Message) -> list[Receipt]:
    sender, channel = HealthchecksSender(http()), a_channel(HealthchecksConfig())
    return [await sender.send(each, channel, Secrets(url=url)) for each in messages]


async def test_pagerduty_triggers_acknowledges_and_resolves_under_one_key(
    receiver: Receiver,
) -> None:
    worse = a_notification(EventType.SEVERITY_CHANGED, alert=ALERT)

    await send("pagerduty", receiver.url, a_notification(), worse, ACKNOWLEDGED, RESOLVED)

    events = [request.json for request in receiver.requests]
    assert ["trigger", "trigger", "acknowledge", "resolve"] == [e["event_action"] for e in events]
    assert {str(ALERT.alert_id)} == {event["dedup_key"] for event in events}
    assert [True, True, False, False] == ["payload" in event for event in events]


async def test_pagerduty_triggers_an_alert_that_is_told_first_when_it_was_acknowledged(
    receiver: Receiver,
) -> None:
    collapsed = replace(ACKNOWLEDGED, type=EventType.RAISED, collapsed_count=1)

    await send("pagerduty", receiver.url, collapsed)

    assert "trigger" == receiver.requests[0].json["event_action"]


async def test_pagerduty_is_told_what_and_where(receiver: Receiver) -> None:
    await send("pagerduty", receiver.url, a_notification())

    payload = receiver.requests[0].json["payload"]
    assert ("web-1", "backup_failed", "home", "warning") == (
        payload["source"],
        payload["class"],
        payload["component"],
        payload["severity"],
    )
    assert "repository is locked by pid 4711" == payload["custom_details"]["message"]
    assert "locked" == payload["custom_details"]["Cause"]


async def test_flapping_and_the_morning_proof_are_incidents_that_end(receiver: Receiver) -> None:
    await send(
        "pagerduty",
        receiver.url,
        a_flap_notice(NoticeType.FLAPPING),
        a_flap_notice(NoticeType.STEADY),
        a_proof(lines=(), total=3, late=1),
        a_proof(),
    )

    events = [request.json for request in receiver.requests]
    assert ["trigger", "resolve", "trigger", "resolve"] == [e["event_action"] for e in events]
    keys = [event["dedup_key"] for event in events]
    assert keys[0] == keys[1]
    assert keys[2] == keys[3]
    assert keys[0] != keys[2]


@pytest.mark.parametrize(
    ("message", "path"),
    [
        (a_notification(), PING + "/fail"),
        (a_notification(EventType.REMINDER), PING + "/fail"),
        (ACKNOWLEDGED, PING + "/log"),
        (RESOLVED, PING),
        (a_notification(is_test=True), PING + "/log"),
        (a_digest(), PING + "/log"),
        (a_flap_notice(NoticeType.FLAPPING), PING + "/fail"),
        (a_flap_notice(NoticeType.STEADY), PING),
        (a_proof(), PING),
        (a_proof(lines=(), total=3, late=1), PING + "/fail"),
    ],
)
async def test_a_check_fails_with_what_is_raised_and_succeeds_with_what_is_resolved(
    receiver: Receiver, message: Message, path: str
) -> None:
    receiver.always = Answer(200, body=b"OK")

    (receipt,) = await ping(receiver.url + PING, message)

    (request,) = receiver.requests
    assert AttemptOutcome.DELIVERED is receipt.outcome
    assert ("POST", path) == (request.method, request.path)
    assert "text/plain; charset=utf-8" == request.headers["content-type"]
    assert 0 < len(request.body) <= 100_000


async def test_a_ping_url_by_slug_keeps_its_query(receiver: Receiver) -> None:
    await ping(f"{receiver.url}/a-ping-key/nightly/?create=1", a_notification())

    assert "/a-ping-key/nightly/fail?create=1" == receiver.requests[0].path


async def test_a_ping_that_was_answered_200_but_not_taken_in_is_no_success(
    receiver: Receiver,
) -> None:
    receiver.script(
        Answer(200, body=b"OK (not found)"),
        Answer(200, body=b"OK (rate limited)\n"),
        Answer(404, body=b"not found"),
        Answer(409, body=b"ambiguous slug"),
    )

    receipts = await ping(receiver.url + PING, *[a_notification()] * 4)

    assert [
        AttemptOutcome.REFUSED,
        AttemptOutcome.RETRY,
        AttemptOutcome.REFUSED,
        AttemptOutcome.REFUSED,
    ] == [each.outcome for each in receipts]
    assert [200, 200, 404, 409] == [each.status_code for each in receipts]
    assert timedelta(minutes=1) == receipts[1].retry_after


async def test_telegram_writes_the_wait_into_the_body(receiver: Receiver) -> None:
    receiver.always = Answer(
        429,
        body=b'{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 35",'
        b'"parameters":{"retry_after":35}}',
    )

    (receipt,) = await send("telegram", receiver.url, a_notification())

    assert AttemptOutcome.RETRY is receipt.outcome
    assert timedelta(seconds=35) == receipt.retry_after


async def test_telegram_shows_no_markup_of_others_and_mentions_nobody(receiver: Receiver) -> None:
    said = "<b>x</b> & @everyone <!channel> <a href='http://evil'>y</a>"
    notification = a_notification(alert=replace(ALERT, message=said, host_name="@all"))

    await send("telegram", receiver.url, notification)

    text = receiver.requests[0].json["text"]
    assert text.startswith("<b>RAISED: backup_failed on @\u2060all (home)")
    assert "&lt;b&gt;x&lt;/b&gt; &amp; @\u2060everyone &lt;\u2060!channel&gt; &lt;a href=" in text
    assert ["<b>", "</b>"] == [text[:3], text[text.index("</") :][:4]]
    assert 2 == text.count("<")


async def test_telegram_writes_to_the_main_thread_unless_one_is_named(receiver: Receiver) -> None:
    chat = CHATS["telegram"]
    channel = a_channel(TelegramConfig("@backups", 0, receiver.url))

    await chat.make(http()).send(a_notification(), channel, chat.secrets(""))

    document = receiver.requests[0].json
    assert "@backups" == document["chat_id"]
    assert "message_thread_id" not in document


@pytest.mark.parametrize(
    ("severity", "priority"), [(Severity.INFO, 2), (Severity.WARNING, 5), (Severity.CRITICAL, 8)]
)
async def test_gotify_has_its_token_in_a_header_and_the_severity_as_priority(
    receiver: Receiver, severity: Severity, priority: int
) -> None:
    await send("gotify", receiver.url, a_notification(alert=replace(ALERT, severity=severity)))

    (request,) = receiver.requests
    assert "AwdIVQJ5kEwD2Xq" == request.headers["x-gotify-key"]
    assert priority == request.json["priority"]


async def test_alertmanager_is_logged_in_to_by_name_and_password(receiver: Receiver) -> None:
    sender = AlertmanagerSender(http())
    channel = a_channel(AlertmanagerConfig(receiver.url + "/prefix/", "tocsin"))
    receiver.always = Answer(401, body=b"not dG9jc2luOmNvcnJlY3QgaG9yc2U=, and not correct horse")

    receipt = await sender.send(a_notification(), channel, Secrets(password="correct horse"))

    (request,) = receiver.requests
    assert "/prefix/api/v2/alerts" == request.path
    assert "Basic dG9jc2luOmNvcnJlY3QgaG9yc2U=" == request.headers["authorization"]
    assert receipt.detail.endswith("not (hidden), and not (hidden)")


def labels_and_end(message: Message) -> list[tuple[dict[str, str], str]]:
    return [(each["labels"], each["endsAt"]) for each in alerts_of(message)]


def test_an_alert_has_the_same_labels_from_its_raise_to_its_end() -> None:
    ((raised, until),) = labels_and_end(a_notification())
    ((acknowledged, _),) = labels_and_end(ACKNOWLEDGED)
    *milder, (resolved, end) = labels_and_end(RESOLVED)

    assert raised == acknowledged == resolved
    assert {
        "alertname": "backup_failed",
        "host": "web-1",
        "dedup_key": "home",
        "severity": "warning",
        "service": "tocsin",
        "label_site": "Berlin",
    } == raised
    assert until > "2035"
    assert "2026-01-31T23:15:00.000000Z" == end
    assert ["info"] == [labels["severity"] for labels, _ in milder]


def test_what_became_more_severe_ends_the_milder_alert() -> None:
    worse = a_notification(
        EventType.SEVERITY_CHANGED, alert=replace(ALERT, severity=Severity.CRITICAL)
    )

    info, warning, critical = labels_and_end(worse)

    assert ["info", "warning", "critical"] == [
        each[0]["severity"] for each in (info, warning, critical)
    ]
    assert info[1] == warning[1] == "2026-01-31T22:15:00.000000Z"
    assert critical[1] > "2035"


def test_first_news_mentions_no_milder_alert_and_collapsed_news_does() -> None:
    critical = replace(ALERT, severity=Severity.CRITICAL)

    first = alerts_of(a_notification(alert=critical, collapsed_count=2))
    later = alerts_of(a_notification(EventType.CAUSE_CHANGED, alert=critical, collapsed_count=1))

    assert (1, 3) == (len(first), len(later))


def test_no_end_is_before_its_beginning() -> None:
    odd = replace(OVER, resolve_time=AT - timedelta(days=1))

    for message in (*every_kind_of_message(), replace(RESOLVED, alert=odd, occur_time=AT)):
        for alert in alerts_of(message):
            assert alert["startsAt"] <= alert["endsAt"]


def about(alert_status: AlertStatus, event_type: EventType, **changes: Any) -> Notification:
    now = datetime.now(UTC)
    alert = replace(ALERT, status=alert_status, raise_time=now - timedelta(minutes=1), **changes)
    return a_notification(event_type, alert=alert, occur_time=now)


@pytest.mark.skipif(program() is None, reason="Alertmanager is not installed here")
async def test_a_real_alertmanager_shows_the_alert_and_its_end(tmp_path: Path) -> None:
    sender = AlertmanagerSender(http())
    raised = about(AlertStatus.OPEN, EventType.RAISED)
    worse = about(AlertStatus.OPEN, EventType.SEVERITY_CHANGED, severity=Severity.CRITICAL)
    over = about(
        AlertStatus.RESOLVED,
        EventType.RESOLVED,
        severity=Severity.CRITICAL,
        resolve_time=datetime.now(UTC),
    )
    async with running_alertmanager(tmp_path, free_port()) as real:
        channel = a_channel(AlertmanagerConfig(real.url, ""))
        shown = []
        for message in (raised, worse, over):
            receipt = await sender.send(message, channel, Secrets())
            assert (AttemptOutcome.DELIVERED, 200) == (receipt.outcome, receipt.status_code)

            async def matches(message: Notification = message) -> bool:
                severities = [each["labels"]["severity"] for each in await real.alerts()]
                wanted = [message.alert.severity.name.lower()] if message is not over else []
                return wanted == severities

            assert await eventually(matches)
            shown.append(await real.alerts())

    ((alert,), _, _) = shown
    assert "web-1" == alert["labels"]["host"]
    assert "repository is locked by pid 4711" == alert["annotations"]["description"]
    assert "active" == alert["status"]["state"]
    assert alert["endsAt"] > "2035"


@pytest.mark.skipif(program() is None, reason="Alertmanager is not installed here")
async def test_a_real_alertmanager_takes_every_kind_of_message(tmp_path: Path) -> None:
    sender = AlertmanagerSender(http())
    async with running_alertmanager(tmp_path, free_port()) as real:
        channel = a_channel(AlertmanagerConfig(real.url, ""))
        receipts = [
            await sender.send(message, channel, Secrets()) for message in every_kind_of_message()
        ]

    assert {AttemptOutcome.DELIVERED} == {each.outcome for each in receipts}


async def test_a_check_is_given_only_channels_of_its_own_type() -> None:
    sender = HealthchecksSender(http())

    with pytest.raises(TypeError, match="not a Healthchecks channel"):
        await sender.send(a_notification(), a_channel(SlackConfig()), Secrets())
