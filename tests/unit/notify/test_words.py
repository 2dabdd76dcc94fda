"""A message in a few words, for chats and telephones."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.notices import (
    a_digest,
    a_digest_line,
    a_flap_notice,
    a_proof,
    a_proof_line,
    every_kind_of_message,
)
from support.notifications import ALERT, AT, a_notification
from tocsin.notify.channels.body import body
from tocsin.notify.channels.text import headline, lasting, line
from tocsin.notify.channels.words import Words, words
from tocsin.notify.domain.notice import Message, NoticeType
from tocsin.notify.domain.notification import AlertStatus, EventType, ResolveReason, Severity


def test_an_alert_is_told_with_what_a_person_asks_first() -> None:
    told = words(a_notification(note="look at\nthe lock"))

    assert "RAISED: backup_failed on Web server (home) [WARNING]" == told.title
    assert (
        "repository is locked by pid 4711",
        "Cause: locked",
        "Raised: 2026-01-31 22:15:00 UTC",
        "Last seen: 2026-01-31 22:15:00 UTC (once)",
        "Note: look at the lock",
    ) == told.lines
    assert not told.is_over


def test_what_an_alert_explains_and_stands_for_is_told() -> None:
    told = words(a_notification(explained_count=12, collapsed_count=3)).lines

    assert "Explains: 12 other alerts, told only when still wrong after this one is over" in told
    assert "Stands for: 3 earlier events too" in told


def test_one_is_not_told_as_many() -> None:
    told = words(a_notification(explained_count=1, collapsed_count=1)).lines

    assert "Explains: one other alert, told only when still wrong after this one is over" in told
    assert "Stands for: one earlier event too" in told


def test_who_did_it_is_told_when_it_was_for_somebody() -> None:
    acknowledged = replace(ALERT, status=AlertStatus.ACKNOWLEDGED)
    happened = EventType.ACKNOWLEDGED

    by_itself = words(a_notification(happened, alert=acknowledged)).lines
    for_alice = words(a_notification(happened, alert=acknowledged, on_behalf_of="alice")).lines

    assert not any(each.startswith("By: ") for each in by_itself)
    assert "By: anonymous on behalf of alice" in for_alice


def test_what_is_resolved_is_over_and_says_why() -> None:
    alert = replace(
        ALERT,
        status=AlertStatus.RESOLVED,
        resolve_time=AT + timedelta(hours=1),
        resolved_by="web-1",
        resolve_reason=ResolveReason.AUTO,
    )

    told = words(a_notification(EventType.RESOLVED, alert=alert))

    assert told.is_over
    assert "Resolved: 2026-01-31 23:15:00 UTC by web-1, it works again" in told.lines


def test_a_long_message_is_told_from_its_beginning_and_says_that_it_goes_on() -> None:
    message = "\n".join(f"line {number}" for number in range(100))

    told = words(a_notification(alert=replace(ALERT, message=message))).lines

    assert "line 11" == told[11]
    assert "… and 88 more lines of the message" == told[12]
    assert "Cause: locked" == told[13]


def test_a_test_tells_nothing_but_that_it_is_one() -> None:
    told = words(a_notification(is_test=True))

    assert "TEST: this channel works" == told.title
    assert ("repository is locked by pid 4711",) == told.lines


def test_a_digest_tells_the_counts_then_the_worst_then_how_many_are_left_out() -> None:
    told = words(a_digest(491))
    shown = told.fitted(100_000)

    assert "DIGEST: 491 events [CRITICAL]" == told.title
    assert "By type: raised 491" == shown[0]
    assert "By host: db-1 490, db-2 1" == shown[2]
    assert "[CRITICAL] RAISED: backup_failed on Database 0 (home): repository is locked" == shown[3]
    assert 3 + 50 + 1 == len(shown)
    assert "… and 441 more" == shown[-1]


def test_a_digest_counts_the_most_frequent_and_says_how_many_others_there_are() -> None:
    hosts = {f"db-{number:02}": number for number in range(1, 21)}

    told = words(a_digest(300, counts={"host": hosts})).lines[0]

    assert told.startswith("By host: db-20 20, db-19 19, db-18 18, ")
    assert told.endswith(", db-13 13, others 168")


def test_a_digest_that_lists_all_leaves_nothing_out() -> None:
    told = words(a_digest(3))

    assert 0 == told.left_out
    assert not any("more" in each for each in told.fitted(100_000))


def test_a_digest_says_what_its_events_share() -> None:
    told = words(a_digest(3, group="host_id db-1"))

    assert "DIGEST: 3 events of host_id db-1 [CRITICAL]" == told.title


def test_a_digest_of_nothing_but_good_news_is_over() -> None:
    good = a_digest(1, lines=(a_digest_line(type=EventType.RESOLVED),))
    unlisted = replace(good, total=2)

    assert words(good).is_over
    assert not words(unlisted).is_over
    assert not words(a_digest(1)).is_over


def test_flapping_says_how_often_and_steady_says_how_it_ended() -> None:
    flapping = words(a_flap_notice(NoticeType.FLAPPING))
    steady = words(a_flap_notice(NoticeType.STEADY))
    still_wrong = words(a_flap_notice(NoticeType.STEADY, is_open=True))

    about = "backup_failed on Web server (home) [WARNING]"
    assert f"FLAPPING: {about}, raised 6 times in 1 h" == flapping.title
    assert f"STEADY: {about}, it works again" == steady.title
    assert f"STEADY: {about}, still wrong" == still_wrong.title
    assert [False, True, False] == [each.is_over for each in (flapping, steady, still_wrong)]


def test_the_proof_is_told_when_all_is_well() -> None:
    told = words(a_proof())

    assert "BACKUPS: 1 of 1 source groups are in time" == told.title
    assert (
        "Route: mornings",
        (
            "Web server / home: last good backup 2026-01-31 19:15:00 UTC, 3 h ago, objective 1 d,"
            " next due 2026-02-01 19:15:00 UTC"
        ),
    ) == told.lines
    assert told.is_over
    assert Severity.INFO is told.severity


def test_the_proof_says_what_is_late_and_what_never_was() -> None:
    never = a_proof_line(last_good_time=None, age=None, source_group="photos", open_alerts=1)
    late = a_proof_line(age=timedelta(days=2, hours=3), last_good_time=AT - timedelta(hours=51))
    told = words(a_proof(never, late, total=3, late=2, open_alerts=1))

    assert "BACKUPS: 1 of 3 source groups are in time, open alerts: 1" == told.title
    assert "photos: LATE, no good backup yet, objective 1 d" in told.lines[1]
    assert "open alerts: 1" in told.lines[1]
    assert "home: LATE, last good backup 2026-01-29 19:15:00 UTC, 2 d 3 h ago" in told.lines[2]
    assert "… and 1 more" == told.fitted(10_000)[-1]
    assert (Severity.WARNING, False) == (told.severity, told.is_over)


def test_the_proof_says_when_nobody_knows() -> None:
    told = words(a_proof(lines=(), total=0, problem="tocsin-alert does not answer."))

    assert "BACKUPS: nobody knows how they stand. tocsin-alert does not answer." == told.title
    assert not told.is_over


@pytest.mark.parametrize("message", every_kind_of_message(), ids=lambda each: each.event_type)
def test_every_kind_of_message_has_a_headline_a_line_words_and_a_body(message: Message) -> None:
    assert headline(message) == words(message).title
    assert headline(message) in line(message)
    assert body(message).startswith(headline(message) + "\n\n")
    assert 0 <= words(message).colour < 1 << 24


texts = st.text(st.one_of(st.characters(), st.sampled_from("\r\n\0\x1b\u2028\u202e&<@*_")))


@given(st.lists(texts, max_size=30), st.integers(0, 500), st.integers(0, 3_000))
def test_what_does_not_fit_is_counted(lines: list[str], left_out: int, most: int) -> None:
    told = Words("", tuple(lines), Severity.INFO, is_over=False, left_out=left_out)

    shown = told.fitted(most, lambda each: each.replace("&", "&amp;"))

    cut = shown[-1] if shown and shown[-1].startswith("… and ") else None
    kept = shown[:-1] if cut else shown
    missing = left_out + len(lines) - len(kept)
    assert [each.replace("&", "&amp;") for each in lines[: len(kept)]] == kept
    assert (f"… and {missing:,} more" if missing else None) == cut
    assert not kept or len("\n".join(shown)) <= most


@given(texts, texts, texts)
def test_no_text_breaks_out_of_its_line(host: str, message: str, note: str) -> None:
    alert = replace(ALERT, host_name=host, message=message)

    for message_ in (
        a_notification(alert=alert, note=note),
        a_digest(1, lines=(a_digest_line(host_name=host, message=message),), group=note),
        a_flap_notice(host_name=host),
        a_proof(a_proof_line(host_name=host, source_group=message), route_name=note),
    ):
        told = words(message_)
        for each in (told.title, *told.lines):
            assert len(each.splitlines()) <= 1
            assert not set(each) & {"\x00", "\x1b", "\u202e"}


@pytest.mark.parametrize(
    ("span", "said"),
    [
        (timedelta(), "0 s"),
        (timedelta(seconds=-5), "0 s"),
        (timedelta(seconds=59, microseconds=999_999), "59 s"),
        (timedelta(minutes=5), "5 min"),
        (timedelta(hours=1, seconds=1), "1 h 1 s"),
        (timedelta(days=2, hours=3, minutes=4), "2 d 3 h"),
    ],
)
def test_a_span_of_time_is_told_by_its_two_greatest_units(span: timedelta, said: str) -> None:
    assert said == lasting(span)
