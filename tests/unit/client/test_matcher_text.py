"""Matchers as the command reads and tells them."""

from __future__ import annotations

import pytest

from tocsin.api.notify.v1.matcher_pb2 import (
    MATCH_FIELD_HOST_ID,
    MATCH_FIELD_HOST_LABEL,
    MATCH_FIELD_KIND,
    MATCH_FIELD_SOURCE_GROUP_ID,
    MATCH_OPERATOR_ANY_OF,
    MATCH_OPERATOR_LIKE,
    MATCH_OPERATOR_NONE_OF,
    MATCH_OPERATOR_NOT_LIKE,
    Matcher,
)
from tocsin.cli.exits import CommandError
from tocsin.cli.matcher_text import matcher_text, read_group_fields, read_matchers


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "kind=check_failed,prune_failed",
            Matcher(
                field=MATCH_FIELD_KIND,
                operator=MATCH_OPERATOR_ANY_OF,
                values=["check_failed", "prune_failed"],
            ),
        ),
        (
            "host!=lab-*",
            Matcher(field=MATCH_FIELD_HOST_ID, operator=MATCH_OPERATOR_NOT_LIKE, values=["lab-*"]),
        ),
        (
            "host-label.rack!=3",
            Matcher(
                field=MATCH_FIELD_HOST_LABEL,
                label="rack",
                operator=MATCH_OPERATOR_NONE_OF,
                values=["3"],
            ),
        ),
        (
            "source_group_id = ho?e",
            Matcher(
                field=MATCH_FIELD_SOURCE_GROUP_ID, operator=MATCH_OPERATOR_LIKE, values=["ho?e"]
            ),
        ),
        (
            "host-label.owner=",
            Matcher(
                field=MATCH_FIELD_HOST_LABEL,
                label="owner",
                operator=MATCH_OPERATOR_ANY_OF,
                values=[""],
            ),
        ),
    ],
)
def test_a_condition_is_read_as_it_is_meant(text: str, expected: Matcher) -> None:
    assert [expected] == read_matchers("--match", [text])


@pytest.mark.parametrize(
    "text", ["kind=a,b", "host!=lab-*", "label.site=Berlin", "source-group=x=y", "severity=info"]
)
def test_a_condition_is_told_as_it_is_read(text: str) -> None:
    (matcher,) = read_matchers("--match", [text])
    assert text == matcher_text(matcher)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("backup_failed", "is no condition; write it such as kind=check_failed"),
        ("knid=x", "Did you mean kind?"),
        ("label=x", "must name a label; write it such as label.site"),
        ("kind.x=y", "kind has no parts; write it without .x"),
        ("=x", "'' is none of kind, severity"),
    ],
)
def test_a_condition_that_is_none_is_refused_with_what_to_write(text: str, words: str) -> None:
    with pytest.raises(CommandError) as caught:
        read_matchers("--match", [text])
    assert words in caught.value.message


def test_fields_of_a_group_may_stand_behind_each_other() -> None:
    read = read_group_fields("--group-by", ["host,label.site", "kind"])
    assert [("", 3), ("site", 6), ("", 1)] == [(field.label, field.field) for field in read]
