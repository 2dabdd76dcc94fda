"""The notification in words."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.notifications import ALERT, AT, a_mailbox, a_notification
from tocsin.common.clock import SystemClock
from tocsin.notify.channels.base import plain
from tocsin.notify.channels.body import body
from tocsin.notify.channels.mail import mail
from tocsin.notify.channels.text import headline, line
from tocsin.notify.domain.channel import EmailConfig
from tocsin.notify.domain.notification import AlertStatus, AlertView, EventType, ResolveReason

OTHER = replace(ALERT, alert_id=UUID(int=3), dedup_key="photos")


@pytest.mark.parametrize("render", [headline, line, body])
def test_two_alerts_of_one_kind_on_one_host_are_told_apart_by_their_key(render: object) -> None:
    home, photos = a_notification(), a_notification(alert=OTHER)

    assert "home" in render(home)  # type: ignore[operator]
    assert "photos" in render(photos)  # type: ignore[operator]


def test_the_body_names_everything_that_a_person_asks_for() -> None:
    resolved = replace(
        ALERT,
        status=AlertStatus.RESOLVED,
        occurrences=1234,
        acknowledge_time=AT + timedelta(hours=1),
        acknowledged_by="anonymous",
        acknowledge_expire_time=AT + timedelta(hours=25),
        resolve_time=AT + timedelta(hours=2),
        resolved_by="anonymous",
        resolve_reason=ResolveReason.MANUAL,
    )
    notification = a_notification(
        EventType.RESOLVED,
        alert=resolved,
        event_id=UUID(int=7),
        actor="anonymous",
        on_behalf_of="alice",
        note="disk\nreplaced",
    )

    assert """\
RESOLVED: backup_failed on Web server (home) [WARNING], by hand

Host:         Web server (web-1)
Kind:         backup_failed
Key:          home
Severity:     warning
Status:       resolved
Cause:        locked
Raised:       2026-01-31 22:15:00 UTC
Last seen:    2026-01-31 22:15:00 UTC (1,234 times)
Acknowledged: 2026-01-31 23:15:00 UTC by anonymous, until 2026-02-01 23:15:00 UTC
Resolved:     2026-02-01 00:15:00 UTC by anonymous, by hand
By:           anonymous on behalf of alice
Note:         disk replaced
Label site:   Berlin
Alert:        0190b5a8-0000-7000-8000-00000000a1e7
Event:        00000000-0000-0000-0000-000000000007

repository is locked by pid 4711
""" == body(notification)


@pytest.mark.parametrize(
    ("happened", "said"),
    [
        (EventType.RAISED, "RAISED: "),
        (EventType.SEVERITY_CHANGED, "MORE SEVERE: "),
        (EventType.CAUSE_CHANGED, "OTHER CAUSE: "),
        (EventType.ACKNOWLEDGED, "ACKNOWLEDGED: "),
        (EventType.UNACKNOWLEDGED, "OPEN AGAIN: "),
        (EventType.RESOLVED, "RESOLVED: "),
    ],
)
def test_the_headline_says_what_happened(happened: EventType, said: str) -> None:
    assert headline(a_notification(happened)).startswith(said)


def test_a_test_says_that_it_is_one() -> None:
    assert "TEST" in headline(a_notification(is_test=True))


evil = st.text(
    st.one_of(st.characters(), st.sampled_from("\r\n\0\x1b\x85\u2028\u2029\u202e")), max_size=300
)


@given(evil, evil, evil, evil)
def test_no_text_breaks_out_of_its_line(host: str, kind: str, key: str, message: str) -> None:
    alert = replace(ALERT, host_name=host, kind=kind, dedup_key=key, message=message, cause=host)
    notification = a_notification(alert=alert)

    for text in (headline(notification), line(notification)):
        assert 1 == len(text.splitlines())
        assert "\x00" not in text


def header_names(alert: AlertView) -> list[str]:
    """Write the mail, read it again as a mail server does, and return its headers' names."""
    channel = a_mailbox(25)
    assert isinstance(channel.config, EmailConfig)
    written = mail(a_notification(alert=alert), channel.channel_id, channel.config, AT).as_bytes()
    assert b"\n\nRAISED: " in written.replace(b"\r\n", b"\n") or b"base64" in written
    return message_from_bytes(written).keys()


@given(evil, evil)
def test_no_text_adds_a_header_to_a_mail(host: str, key: str) -> None:
    assert header_names(ALERT) == header_names(replace(ALERT, host_name=host, dedup_key=key))


@pytest.mark.parametrize(
    "key",
    [
        "home\r\nBcc: thief@example.net",
        "home\n\nbody",
        "=?utf-8?q?=0D=0ABcc:_thief@example.net?=",
        "=?utf-8?q?=0D=0A=0D=0Abody?=",
        "==??utf-8?q?=0D=0ABcc:_thief@example.net?=",
        "=?utf-8?b?DQpCY2M6IHRoaWVmQGV4YW1wbGUubmV0?=",
    ],
)
def test_no_line_break_gets_into_a_subject_not_even_encoded(key: str) -> None:
    assert header_names(ALERT) == header_names(replace(ALERT, dedup_key=key))


def test_the_mail_says_that_a_machine_wrote_it() -> None:
    channel = a_mailbox(25)
    assert isinstance(channel.config, EmailConfig)

    message = mail(a_notification(), channel.channel_id, channel.config, SystemClock().now())

    assert "auto-generated" == message["Auto-Submitted"]
    assert str(ALERT.alert_id) == message["X-Tocsin-Alert-Id"]
    assert "alert.raised" == message["X-Tocsin-Event-Type"]


def test_an_endless_key_is_cut_in_the_subject() -> None:
    channel = a_mailbox(25)
    assert isinstance(channel.config, EmailConfig)
    alert = replace(ALERT, dedup_key="k" * 256)

    message = mail(a_notification(alert=alert), channel.channel_id, channel.config, AT)

    assert 220 > len(message["Subject"])
    assert message["Subject"].endswith("…")


@given(st.text())
def test_a_detail_is_short_printable_and_utf_8(text: str) -> None:
    kept = plain(text)

    assert len(kept) <= 1024
    assert kept == kept.encode().decode()
    assert not set(kept) & {"\x00", "\n", "\r", "\x1b"}
