from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.common.errors import Violations
from tocsin.common.rpc.validate import (
    check_labels,
    check_text,
    check_texts,
    read_choice,
    read_page_size,
    read_uuid,
    shown,
)

if TYPE_CHECKING:
    from uuid import UUID


def told(found: Violations) -> dict[str, str]:
    return {violation.field: violation.description for violation in found.found}


@pytest.mark.parametrize(
    ("value", "description"),
    [
        ("", "must not be empty; write 1 to 256 characters"),
        ("x" * 257, "has 257 characters; write 1 to 256 characters"),
        ("a\0b", "holds a NUL character (U+0000); leave it out"),
        ("a\ud83d", "holds half of a surrogate pair; send whole characters as UTF-8"),
    ],
)
def test_a_text_that_cannot_be_stored_is_told_with_what_to_write(
    value: str, description: str
) -> None:
    found = Violations()

    check_text(found, "host_id", value, least=1, most=256)

    assert {"host_id": description} == told(found)


@pytest.mark.parametrize("value", ["x", "x" * 256, "ж" * 256, "\U0001f514" * 256])
def test_lengths_count_characters(value: str) -> None:
    found = Violations()

    check_text(found, "host_id", value, least=1, most=256)

    assert {} == told(found)


def test_everything_wrong_with_one_text_is_told_at_once() -> None:
    found = Violations()

    check_text(found, "note", "\0" * 11, most=10)

    assert [
        "has 11 characters; write at most 10 characters",
        "holds a NUL character (U+0000); leave it out",
    ] == [v.description for v in found.found]


def test_a_list_names_its_wrong_entries() -> None:
    found = Violations()

    check_texts(found, "host_ids", ["a", "", "c"], most_items=3, most=1)

    assert {"host_ids[1]": "must not be empty; write 1 to 1 characters"} == told(found)


def test_a_list_that_is_too_long_is_told_once() -> None:
    found = Violations()

    check_texts(found, "host_ids", [""] * 101, most_items=100, most=256)

    assert {"host_ids": "has 101 entries; write at most 100"} == told(found)


@pytest.mark.parametrize(
    ("labels", "fields"),
    [
        ({"": "v"}, ["labels[]"]),
        ({"n" * 65: "v"}, [f"labels[{'n' * 63}…]"]),
        ({"disk": "v" * 257}, ["labels[disk]"]),
        ({"disk": "\0"}, ["labels[disk]"]),
        ({"d\0": "v"}, ["labels[d\N{REPLACEMENT CHARACTER}]"]),
        ({f"l{n}": "" for n in range(33)}, ["labels"]),
        ({f"l{n}": "v" * 256 for n in range(32)}, []),
    ],
)
def test_labels_are_bounded(labels: dict[str, str], fields: list[str]) -> None:
    found = Violations()

    check_labels(found, "labels", labels)

    assert fields == [violation.field for violation in found.found]


@pytest.mark.parametrize(
    "text",
    ["", "7", "{0190b5a8-7d5c-7c3e-8a53-1f2e3d4c5b6a}", "0190b5a87d5c7c3e8a531f2e3d4c5b6a", "\0"],
)
def test_what_is_no_uuid_in_its_usual_form_is_refused(text: str) -> None:
    found = Violations()

    assert None is read_uuid(found, "alert_id", text)
    assert ["alert_id"] == list(told(found))


@given(st.uuids())
def test_a_uuid_is_read_in_either_case(value: UUID) -> None:
    found = Violations()

    assert value == read_uuid(found, "alert_id", str(value))
    assert value == read_uuid(found, "alert_id", str(value).upper())
    assert {} == told(found)


def test_an_unknown_enum_value_is_told_with_the_allowed_names() -> None:
    found = Violations()

    assert None is read_choice(found, "severity", 9, {1: "SEVERITY_INFO", 2: "SEVERITY_WARNING"})
    assert {"severity": "has no value 9; write one of SEVERITY_INFO, SEVERITY_WARNING"} == told(
        found
    )


@pytest.mark.parametrize(
    ("asked", "size"), [(0, 100), (1, 1), (1000, 1000), (1001, 1000), (2**31 - 1, 1000)]
)
def test_a_page_has_100_unless_asked_otherwise_and_at_most_1000(asked: int, size: int) -> None:
    found = Violations()

    assert size == read_page_size(found, "page_size", asked)
    assert {} == told(found)


def test_a_negative_page_size_is_refused() -> None:
    found = Violations()

    read_page_size(found, "page_size", -1)

    assert {"page_size": "is -1; write 1 to 1,000, or 0 for 100"} == told(found)


@given(st.text(max_size=300))
def test_what_is_repeated_of_a_callers_text_is_short_and_printable(text: str) -> None:
    assert len(shown(text)) <= 64
    assert shown(text).isprintable()
