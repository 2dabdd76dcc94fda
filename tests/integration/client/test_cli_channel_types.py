"""`tocsin channel create …` for every type, and what of it can be changed."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from support.command import Command


pytestmark = pytest.mark.postgres

USAGE = 2
URL = "https://far.example.org/0123456789-s3cr3t"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    return tmp_path / "secret"


@pytest.mark.parametrize(
    ("kind", "words", "held", "told"),
    [
        ("ntfy", ("--topic", "nights", "--token-file"), "tk_s3cr3t", "nights at ntfy.sh"),
        ("slack", ("--url-file",), URL, "(secret)"),
        ("discord", ("--url-file",), URL, "(secret)"),
        ("teams", ("--url-file",), URL, "(secret)"),
        ("healthchecks", ("--url-file",), URL, "(secret)"),
        (
            "telegram",
            ("--chat", "-1001234567890", "--thread", "7", "--token-file"),
            "12:s3cr3t",
            "-1001234567890, topic 7",
        ),
        (
            "gotify",
            ("--server-url", "https://push.example.org", "--token-file"),
            "s3cr3t",
            "https://push.example.org",
        ),
        ("pagerduty", ("--key-file",), "s3cr3t" * 5, "(secret)"),
        (
            "alertmanager",
            ("--url", "https://am.example.org", "--username", "u", "--password-file"),
            "s3cr3t",
            "https://am.example.org",
        ),
        (
            "apprise",
            ("--urls-file",),
            "json://a.example.org/s3cr3t\njson://b.example.org/s3cr3t",
            "Apprise URLs: 2",
        ),
    ],
)
def test_a_channel_of_each_type_is_created_and_shows_no_secret(
    tocsin: Command, secret: Path, *, kind: str, words: tuple[str, ...], held: str, told: str
) -> None:
    if kind == "apprise" and importlib.util.find_spec("apprise") is None:
        pytest.skip("Apprise is not installed here")
    secret.write_text(held + "\n")

    shown = tocsin.done("channel", "create", kind, f"by {kind}", *words, str(secret), "--disabled")

    assert kind in shown
    assert told in shown
    assert "s3cr3t" not in shown + tocsin.done("channel", "list")
    tocsin.done("channel", "delete", f"by {kind}", "--yes")


def test_what_is_wrong_is_told_by_the_option_that_it_came_from(
    tocsin: Command, secret: Path
) -> None:
    secret.write_text("http://10.0.0.1/s3cr3t\n")

    slack = tocsin("channel", "create", "slack", "x", "--url-file", str(secret))
    telegram = tocsin(
        *("channel", "create", "telegram", "x", "--chat", "a chat", "--token-file", str(secret))
    )

    assert (USAGE, USAGE) == (slack.code, telegram.code)
    assert "--url-file: leads to 10.0.0.1" in slack.err
    assert "--token-file: must match" in telegram.err
    assert "--chat: must match" in telegram.err
    assert "s3cr3t" not in slack.err + telegram.err


def test_any_field_is_changed_by_its_name(tocsin: Command, secret: Path) -> None:
    secret.write_text("tk_s3cr3t\n")
    tocsin.done("channel", "create", "ntfy", "pushes", "--topic", "days", "--disabled")

    told = tocsin.done(
        *("channel", "update", "pushes", "--set", "topic=nights", "--secret", f"token={secret}"),
        *("--rate-limit", "3/1m"),
    )
    with_token = tocsin.json("channel", "show", "pushes")["channel"]
    without = tocsin.json(
        "channel", "update", "pushes", "--secret", "token=", "--rate-limit", "default"
    )["channel"]

    assert "nights at ntfy.sh" in told
    assert "3 at once, and one more each 60 s" in told
    assert (True, 3) == (with_token["ntfy"]["token_set"], with_token["rate_limit"]["burst"])
    assert not without["ntfy"].get("token_set")
    assert not without.get("rate_limit")
    tocsin.done("channel", "delete", "pushes", "--yes")


def test_what_the_service_refuses_of_a_change_is_told_by_the_option(
    tocsin: Command, secret: Path
) -> None:
    secret.write_text(URL)
    tocsin.done("channel", "create", "slack", "to empty", "--url-file", str(secret), "--disabled")

    ended = tocsin("channel", "update", "to empty", "--secret", "webhook_url=")

    assert USAGE == ended.code
    assert "--secret webhook_url: must not be empty" in ended.err


@pytest.mark.parametrize(
    "words",
    [
        ("--set", "no-such=1"),
        ("--set", "topic"),
        ("--set", "token=tk_s3cr3t"),
        ("--set", "token_set=1"),
        ("--secret", "topic=/dev/null"),
        ("--secret", "token=/no/such/file"),
        ("--rate-limit", "often"),
        ("--rate-limit", "10"),
    ],
)
def test_a_change_that_cannot_be_read_is_refused(tocsin: Command, words: tuple[str, str]) -> None:
    tocsin("channel", "create", "ntfy", "to change", "--topic", "days", "--disabled")

    ended = tocsin("channel", "update", "to change", *words)

    assert USAGE == ended.code
    assert words[0] in ended.err
    assert "s3cr3t" not in ended.err
