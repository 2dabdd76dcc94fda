"""A digest tells the worst first, counts everything, and says what it leaves out."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from support.cases import NOW, case_of
from support.notices import a_digest, a_flap_notice, a_proof
from support.notifications import a_notification
from tocsin.notify.delivery.digests import COUNTED, LINE_CHARACTERS, digest_of
from tocsin.notify.domain.notice import LISTED, Message
from tocsin.notify.domain.notification import EventType, Severity
from tocsin.notify.store.notice_documents import message_document, message_of

EVENT = UUID(int=77)


def test_the_worst_come_first_and_what_is_over_last() -> None:
    cases = [
        case_of(1, Severity.CRITICAL, EventType.RESOLVED),
        case_of(2, Severity.INFO),
        case_of(3, Severity.CRITICAL),
        case_of(4, Severity.WARNING),
    ]

    digest = digest_of(cases, EVENT, NOW, "")

    assert [3, 4, 2, 1] == [line.alert_id.int for line in digest.lines]
    assert (EVENT, NOW, 4, Severity.CRITICAL) == (
        digest.event_id,
        digest.occur_time,
        digest.total,
        digest.worst,
    )


def test_what_is_over_makes_no_digest_bad() -> None:
    over = case_of(1, Severity.CRITICAL, EventType.RESOLVED)

    assert Severity.INFO is digest_of([over, case_of(2, Severity.INFO)], EVENT, NOW, "").worst
    assert Severity.CRITICAL is digest_of([over], EVENT, NOW, "").worst


def test_it_lists_fifty_and_counts_all() -> None:
    cases = [case_of(number, alert={"host_name": f"host {number % 3}"}) for number in range(500)]

    digest = digest_of(cases, EVENT, NOW, "kind backup_failed")

    assert (LISTED, 500, "kind backup_failed") == (len(digest.lines), digest.total, digest.group)
    assert {
        "type": {"raised": 500},
        "kind": {"backup_failed": 500},
        "host": {"host 0": 167, "host 1": 167, "host 2": 166},
    } == digest.counts


def test_it_counts_the_most_frequent_twenty_of_each() -> None:
    cases = [case_of(number, alert={"host_name": f"host {number:02}"}) for number in range(50)]
    cases += [case_of(50, alert={"host_name": "host 49"})]

    hosts = digest_of(cases, EVENT, NOW, "").counts["host"]

    assert (COUNTED, "host 49") == (len(hosts), next(iter(hosts)))


def test_it_shows_the_beginning_of_a_long_message() -> None:
    digest = digest_of([case_of(1, alert={"message": "x" * 16_384})], EVENT, NOW, "")

    assert f"{'x' * (LINE_CHARACTERS - 1)}…" == digest.lines[0].message


@pytest.mark.parametrize(
    "message",
    [
        a_digest(),
        a_flap_notice(),
        a_proof(),
        a_notification(),
        a_notification(EventType.REMINDER),
        digest_of([case_of(1), case_of(2)], EVENT, NOW + timedelta(microseconds=3), "a group"),
    ],
    ids=lambda message: type(message).__name__,
)
def test_a_message_comes_back_from_its_document_as_it_was(message: Message) -> None:
    assert message == message_of(message_document(message))
