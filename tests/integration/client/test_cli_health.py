"""`tocsin health`, `channel health` and `channel types`: what works at three in the morning."""

from __future__ import annotations

import pytest

from support.command import Command
from support.waiting import eventually
from tocsin.cli.stack.ports import free_port

pytestmark = pytest.mark.postgres

REFUSED, UNREACHABLE = 1, 3


def row(told: str, name: str) -> list[str]:
    """Return the cells of the row that begins with a name."""
    return next(line.split() for line in told.splitlines() if line.startswith(f"{name} "))


def test_both_services_are_asked_for_their_health(tocsin: Command) -> None:
    told = tocsin.done("health")

    assert ["tocsin-alert", tocsin.alert, "SERVING"] == row(told, "tocsin-alert")
    assert ["tocsin-notify", tocsin.notify, "SERVING"] == row(told, "tocsin-notify")


def test_a_service_that_does_not_answer_is_named_and_the_other_one_asked_all_the_same(
    tocsin: Command,
) -> None:
    half = Command(tocsin.alert, f"127.0.0.1:{free_port()}")

    ended = half("health", "--json")

    assert UNREACHABLE == ended.code
    assert ["SERVING", "UNREACHABLE"] == [each["health"] for each in ended.json["services"]]


async def test_a_channel_that_fails_is_told_apart_from_one_that_works(tocsin: Command) -> None:
    nobody = f"http://127.0.0.1:{free_port()}/"
    tocsin.done("channel", "create", "console", "good")
    tocsin.done("channel", "create", "webhook", "down", "--url", nobody)
    tocsin.done("channel", "create", "console", "off", "--disabled")
    tocsin.done("raise", "web-1", "backup_failed")

    await eventually(lambda: "works" in row(tocsin.done("channel", "health"), "good"))
    await eventually(lambda: "failed" in row(tocsin.done("channel", "health"), "down"))

    told = tocsin.done("channel", "health")
    assert "disabled" in row(told, "off")
    down = tocsin.done("channel", "health", "down")
    assert "Cannot connect" in down
    assert "waiting     1" in down
    [one] = tocsin.json("channel", "health", "down")["channels"]
    assert ("down", "1") == (one["channel_display_name"], one["pending_count"])


def test_a_channel_that_is_not_there_is_refused(tocsin: Command) -> None:
    assert REFUSED == tocsin("channel", "health", "nowhere").code


def test_the_types_of_channels_are_listed_with_what_the_server_lacks(tocsin: Command) -> None:
    told = tocsin.done("channel", "types")
    lacking = {
        each["name"]
        for each in tocsin.json("channel", "types")["channel_types"]
        if not each["available"]
    }

    assert ["webhook", "Webhook", "yes"] == row(told, "webhook")[:3]
    assert lacking == {line.split()[0] for line in told.splitlines() if " no " in line[:40]}
