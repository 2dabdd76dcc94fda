"""Notices as CloudEvents and as mails."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from support.notices import (
    a_digest,
    a_digest_line,
    a_flap_notice,
    a_proof,
    a_proof_line,
    every_kind_of_message,
)
from support.notifications import AT, a_mailbox
from tocsin.notify.channels.cloudevent import cloudevent
from tocsin.notify.channels.mail import mail
from tocsin.notify.domain.channel import EmailConfig
from tocsin.notify.domain.notice import Message, NoticeType

CHANNEL = a_mailbox(25)


def test_a_digest_is_an_event_that_lists_events() -> None:
    digest = a_digest(2, lines=(a_digest_line(),), counts={"kind": {"backup_failed": 2}})

    assert {
        "specversion": "1.0",
        "id": "00000000-0000-0000-0000-00000000004d",
        "source": "/tocsin/notify",
        "type": "notice.digest",
        "time": "2026-01-31T22:15:00.000000Z",
        "datacontenttype": "application/json",
        "data": {
            "summary": "DIGEST: 2 events [CRITICAL]",
            "event_id": "00000000-0000-0000-0000-00000000004d",
            "type": "digest",
            "occur_time": "2026-01-31T22:15:00.000000Z",
            "group": "",
            "total": 2,
            "worst": "critical",
            "counts": {"kind": {"backup_failed": 2}},
            "events": [
                {
                    "event_id": "00000000-0000-0000-0000-0000000003e8",
                    "type": "raised",
                    "alert_id": "00000000-0000-0000-0000-0000000007d0",
                    "host_id": "db-0",
                    "host_name": "Database 0",
                    "kind": "backup_failed",
                    "dedup_key": "home",
                    "severity": "critical",
                    "message": "repository is locked",
                    "occur_time": "2026-01-31T22:15:00.000000Z",
                }
            ],
        },
    } == json.loads(cloudevent(digest))


@pytest.mark.parametrize(
    ("kind", "name", "is_open"),
    [(NoticeType.FLAPPING, "flapping", True), (NoticeType.STEADY, "steady", False)],
)
def test_flapping_and_its_end_are_events_of_the_alert(
    kind: NoticeType, name: str, *, is_open: bool
) -> None:
    event = json.loads(cloudevent(a_flap_notice(kind)))

    assert f"notice.{name}" == event["type"]
    assert "0190b5a8-0000-7000-8000-00000000a1e7" == event["subject"] == event["data"]["alert_id"]
    assert "00000000-0000-0000-0000-00000000004f" == event["data"]["subject_id"]
    assert (6, 3600, is_open) == tuple(
        event["data"][field] for field in ("raises", "window_seconds", "is_open")
    )


def test_the_proof_is_an_event_with_each_source_group() -> None:
    never = a_proof_line(last_good_time=None, age=None, objective=None, next_due_time=None)

    data = json.loads(cloudevent(a_proof(a_proof_line(), never, late=1)))["data"]

    assert ("mornings", "", 2, 1, 0) == tuple(
        data[name] for name in ("route_name", "problem", "total", "late", "open_alerts")
    )
    assert {
        "host_name": "Web server",
        "source_group": "home",
        "last_good_time": "2026-01-31T19:15:00.000000Z",
        "age_seconds": 10_800,
        "objective_seconds": 86_400,
        "next_due_time": "2026-02-01T19:15:00.000000Z",
        "open_alerts": 0,
    } == data["source_groups"][0]
    assert data["source_groups"][1]["age_seconds"] is None


@pytest.mark.parametrize("message", every_kind_of_message(), ids=lambda each: each.event_type)
def test_every_message_is_the_same_bytes_each_time_under_its_own_id(message: Message) -> None:
    assert cloudevent(message) == cloudevent(message)
    assert str(message.event_id) == json.loads(cloudevent(message))["id"]


def headers(message: Message) -> dict[str, str]:
    assert isinstance(CHANNEL.config, EmailConfig)
    written = mail(message, CHANNEL.channel_id, CHANNEL.config, AT + timedelta(hours=1))
    return dict(written.items())


def test_a_digest_is_a_mail_of_its_own() -> None:
    found = headers(a_digest())

    assert "[Tocsin] DIGEST: 491 events [CRITICAL]" == found["Subject"]
    assert "00000000-0000-0000-0000-00000000004d" in found["Message-ID"]
    assert "In-Reply-To" not in found


def test_flapping_and_its_end_are_one_thread() -> None:
    begun, ended = headers(a_flap_notice()), headers(a_flap_notice(NoticeType.STEADY))

    assert begun["Subject"] == ended["Subject"]
    assert "[Tocsin] Flapping: backup_failed on Web server (home)" == begun["Subject"]
    assert begun["In-Reply-To"] == ended["In-Reply-To"]


def test_no_line_break_gets_into_the_subject_of_a_digest() -> None:
    found = headers(a_digest(3, group="host\r\nBcc: thief@example.net =?utf-8?q?=0D=0AX:_y?="))

    assert "Bcc" not in found
    assert 1 == len(found["Subject"].splitlines())
