"""Foreign text as each markup shows it unchanged."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.notify.channels.escape import for_card, for_discord, for_slack

lines = st.text(
    st.one_of(st.characters(), st.sampled_from(" \\*_~`|<>[]()#@-+.1&{}DATEIM")), max_size=80
)


@given(lines)
def test_slack_shows_again_what_was_escaped(text: str) -> None:
    escaped = for_slack(text)

    assert not set("<>") & set(escaped)
    assert text == escaped.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


@given(lines)
def test_discord_shows_again_what_was_escaped(text: str) -> None:
    escaped = for_discord(text)

    assert text == re.sub(r"\\([^0-9A-Za-z\s])", r"\1", escaped)


@given(lines)
def test_nothing_is_left_that_discord_takes_for_markup(text: str) -> None:
    bare = re.sub(r"\\[^0-9A-Za-z\s]", "x", for_discord(text))

    assert not set("*_~`|<[@\\") & set(bare)
    assert not re.match(r"\s*([-+#>]|\d+\.)", bare)


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("@everyone", r"\@everyone"),
        ("<@&123> <#1> <t:0:R>", r"\<\@&123> \<#1> \<t:0:R>"),
        ("# heading", r"\# heading"),
        ("-# small", r"\-# small"),
        ("> quote", r"\> quote"),
        ("  - item", r"  \- item"),
        ("12. item", r"12\. item"),
        ("||spoiler||", r"\|\|spoiler\|\|"),
        ("[bank](http://evil)", r"\[bank](http://evil)"),
        (r"C:\data", r"C:\\data"),
        ("2026-01-31 a-b 1.5", "2026-01-31 a-b 1.5"),
    ],
)
def test_discord_markup_in_a_text_is_escaped(text: str, escaped: str) -> None:
    assert escaped == for_discord(text)


@given(lines)
def test_a_card_shows_again_what_was_disarmed(text: str) -> None:
    disarmed = for_card(text)

    assert "{{DATE(" not in disarmed
    assert "{{TIME(" not in disarmed
    assert text.replace("\u2060", "") == disarmed.replace("\u2060", "")


def test_other_braces_are_left_as_they_are() -> None:
    assert "{{ 7*7 }} {{DATES}}" == for_card("{{ 7*7 }} {{DATES}}")
