"""Whether matchers match."""

from __future__ import annotations

import fnmatch
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.notifications import ALERT, a_notification
from tocsin.notify.domain.matcher import Matcher, MatchField, MatchOperator
from tocsin.notify.domain.notification import EventType, Severity
from tocsin.notify.router.matcher import fits, matches, matches_alert, value_of

FULL = replace(
    ALERT,
    severity=Severity.CRITICAL,
    host_labels={"rack": "3"},
    labels={"site": "Berlin"},
    repository_id="repo",
    source_group_id="home",
    schedule_id="nightly",
)
NEWS = a_notification(EventType.CAUSE_CHANGED, alert=FULL)


def a_matcher(
    *values: str,
    field: MatchField = MatchField.KIND,
    operator: MatchOperator = MatchOperator.ANY_OF,
    label: str = "",
) -> Matcher:
    return Matcher(field, operator, values, label)


@pytest.mark.parametrize(
    ("expected", "field", "label"),
    [
        ("backup_failed", MatchField.KIND, ""),
        ("critical", MatchField.SEVERITY, ""),
        ("web-1", MatchField.HOST_ID, ""),
        ("Web server", MatchField.HOST_NAME, ""),
        ("3", MatchField.HOST_LABEL, "rack"),
        ("", MatchField.HOST_LABEL, "site"),
        ("Berlin", MatchField.LABEL, "site"),
        ("", MatchField.LABEL, "rack"),
        ("repo", MatchField.REPOSITORY_ID, ""),
        ("home", MatchField.SOURCE_GROUP_ID, ""),
        ("nightly", MatchField.SCHEDULE_ID, ""),
        ("home", MatchField.DEDUP_KEY, ""),
        ("locked", MatchField.CAUSE, ""),
        ("cause_changed", MatchField.EVENT_TYPE, ""),
    ],
)
def test_every_field_is_looked_at_where_it_stands(
    expected: str, field: MatchField, label: str
) -> None:
    assert expected == value_of(field, label, NEWS)


def test_there_is_a_value_for_every_field() -> None:
    assert all(isinstance(value_of(field, "x", NEWS), str) for field in MatchField)


def test_any_of_is_one_of_the_values_and_none_of_is_none_of_them() -> None:
    kinds = ("check_failed", "backup_failed")
    assert matches([a_matcher(*kinds)], NEWS)
    assert not matches([a_matcher(*kinds, operator=MatchOperator.NONE_OF)], NEWS)
    assert not matches([a_matcher("check_failed")], NEWS)
    assert matches([a_matcher("check_failed", operator=MatchOperator.NONE_OF)], NEWS)


def test_upper_and_lower_case_differ() -> None:
    site = {"field": MatchField.LABEL, "label": "site"}
    assert not matches([a_matcher("berlin", **site)], NEWS)  # type: ignore[arg-type]  # two types
    assert not fits("ber*", "Berlin")


def test_a_label_that_is_not_there_is_empty() -> None:
    absent = {"field": MatchField.LABEL, "label": "owner"}
    assert matches([a_matcher("", **absent)], NEWS)  # type: ignore[arg-type]  # two types
    assert not fits("?*", value_of(MatchField.LABEL, "owner", NEWS))


def test_all_matchers_must_hold_and_none_at_all_match_everything() -> None:
    kind, other_host = a_matcher("backup_failed"), a_matcher("x", field=MatchField.HOST_ID)
    assert matches([], NEWS)
    assert matches([kind], NEWS)
    assert not matches([kind, other_host], NEWS)


def test_an_alert_has_no_event_type() -> None:
    assert matches_alert([a_matcher("backup_failed")], FULL)
    assert not matches_alert([a_matcher("raised", field=MatchField.EVENT_TYPE)], FULL)


@pytest.mark.parametrize(
    ("pattern", "value", "expected"),
    [
        ("db-*", "db-1", True),
        ("db-*", "db-", True),
        ("db-*", "adb-1", False),
        ("*-db", "west-db", True),
        ("*db*", "a\ndb\nb", True),
        ("a?c", "abc", True),
        ("a?c", "ac", False),
        ("*", "", True),
        ("", "", True),
        ("", "x", False),
        ("a.c", "abc", False),
        ("[ab]", "a", False),
        ("*a*b*c", "aabbc", True),
        ("*ab", "aab", True),
        ("**", "x", True),
        ("a*a", "a", False),
    ],
)
def test_a_star_stands_for_any_characters_and_a_question_mark_for_one(
    pattern: str, value: str, *, expected: bool
) -> None:
    assert expected is fits(pattern, value)


def test_a_pattern_of_many_stars_takes_no_time() -> None:
    assert not fits("*a" * 127 + "*b", "a" * 16_384)


LETTERS = st.text("ab*?", max_size=8)


@given(LETTERS, st.text("ab", max_size=10))
def test_patterns_mean_what_those_of_a_shell_mean(pattern: str, value: str) -> None:
    assert fnmatch.fnmatchcase(value, pattern) is fits(pattern, value)


@given(st.lists(st.text("ab*?", max_size=3), min_size=1, max_size=4), st.text("ab", max_size=3))
def test_each_operator_is_the_opposite_of_its_other(values: list[str], kind: str) -> None:
    news = a_notification(alert=replace(ALERT, kind=kind))
    for one, other in (
        (MatchOperator.ANY_OF, MatchOperator.NONE_OF),
        (MatchOperator.LIKE, MatchOperator.NOT_LIKE),
    ):
        is_one = matches([a_matcher(*values, operator=one)], news)
        assert is_one is not matches([a_matcher(*values, operator=other)], news)
