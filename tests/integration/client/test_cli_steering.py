"""`tocsin route` and `tocsin silence` against both services, running."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.command import Command, running_stack
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.postgres import PostgresServer

pytestmark = pytest.mark.postgres

REFUSED, USAGE = 1, 2


@pytest.fixture(scope="module")
def running(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Command]:
    folder = tmp_path_factory.mktemp("stack")
    with running_stack(folder, postgres_server.cluster) as settings:
        command = Command(settings.alert_target, settings.notify_target)
        for name in ("pager", "chat"):
            command.done("channel", "create", "console", name)
        yield command


@pytest.fixture
def tocsin(running: Command) -> Iterator[Command]:
    """The command, with no routes at the end of each test."""
    yield running
    for route in running.json("route", "list")["routes"]:
        running.done("route", "delete", route["route_id"], "--yes")


def names(tocsin: Command) -> list[str]:
    return [route["display_name"] for route in tocsin.json("route", "list")["routes"]]


def test_without_routes_the_list_says_that_everybody_is_told(tocsin: Command) -> None:
    assert "every enabled channel is told of everything" in tocsin.done("route", "list")


def test_a_route_is_shown_as_it_was_written(tocsin: Command) -> None:
    shown = tocsin.done(
        *("route", "create", "nights", "-c", "pager", "-m", "kind=backup_failed,check_failed"),
        *("-m", "host!=lab-*", "--quiet", "22:00-07:00", "--quiet-day", "fri,sat"),
        *("--time-zone", "Europe/Berlin", "--remind-after", "2h", "--remind-factor", "1.5"),
        *("--remind-pause", "12h", "--remind-count", "5", "--group-wait", "30s"),
        *("--group-by", "host,label.site", "--min-severity", "warning", "--continue"),
        *("--proof-cron", "30 7 * * mon-fri"),
    )
    for line in (
        "channels   pager",
        "when       kind=backup_failed,check_failed and host!=lab-* and severity≥warning",
        "then       the next routes are asked too",
        "group      by host, label.site, waits 30s, at most 100",
        "reminders  after 2h, each pause x1.5 up to 12h, at most 5",
        "quiet      22:00-07:00 from fri, sat, Europe/Berlin, unless critical",
        "proof      30 7 * * mon-fri, Europe/Berlin",
    ):
        assert line in shown
    assert shown.startswith(tocsin.done("route", "show", "nights"))


def test_the_first_route_says_that_the_rest_is_told_to_nobody(tocsin: Command) -> None:
    first = tocsin.done("route", "create", "nights", "-c", "pager", "-m", "host=db-*")
    second = tocsin.done("route", "create", "days", "-c", "pager")

    assert "what no route matches is now told to nobody" in first
    assert "told to nobody" not in second


def test_an_update_changes_what_is_given_and_takes_away_what_is_named(tocsin: Command) -> None:
    tocsin.done(
        *("route", "create", "nights", "-c", "pager", "--remind-after", "2h"),
        *("--quiet", "22:00-07:00", "--time-zone", "UTC"),
    )
    shown = tocsin.done(
        *("route", "update", "nights", "--name", "days", "-c", "chat", "--clear", "quiet")
    )
    assert "channels   chat" in shown
    assert "reminders" in shown
    assert "quiet" not in shown
    assert ["days"] == names(tocsin)
    ended = tocsin("route", "update", "days")
    assert (USAGE, True) == (ended.code, "Name what to change" in ended.err)


def test_routes_are_moved_disabled_and_deleted(tocsin: Command) -> None:
    for name in ("one", "two", "three"):
        tocsin.done("route", "create", name, "-c", "pager")
    tocsin.done("route", "move", "three", "1")
    assert ["three", "one", "two"] == names(tocsin)
    assert "disabled" in tocsin.done("route", "disable", "one")
    assert "enabled" in tocsin.done("route", "enable", "one")
    assert "Deleted one.\n" == tocsin.done("route", "delete", "one", "--yes")
    ended = tocsin("route", "move", "two", "3")
    assert (USAGE, "PLACE: there are 2 routes; write 1 to 2\n") == (ended.code, ended.err)


def test_where_no_route_is_enabled_the_list_says_that_nobody_is_told(tocsin: Command) -> None:
    tocsin.done("route", "create", "one", "-c", "pager", "--disabled")
    assert "nobody is told" in tocsin("route", "list").err


def test_trying_an_event_tells_who_would_hear_of_it(tocsin: Command) -> None:
    tocsin.done("route", "create", "db", "-c", "pager", "-m", "host=db-*")
    told = tocsin.done("route", "try", "db-1", "backup_failed").splitlines()
    assert ["pager", "1", "1", "0", "db"] == told[1].split()
    assert "Nobody would be told" in tocsin.done("route", "try", "web-1", "backup_failed")


def test_a_simulation_counts_what_was_told_to_nobody(tocsin: Command) -> None:
    tocsin.done("route", "create", "db", "-c", "pager", "-m", "host=db-*")
    assert tocsin.done("route", "simulate", "--days", "1").endswith("0 events.\n")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "--channel: has 0 channels"),
        (("-c", "nobody"), "No channel is called 'nobody'. There are:"),
        (("-c", "pager", "-m", "knid=x"), "Did you mean kind?"),
        (("-c", "pager", "-m", "severity=crit"), "--match (number 1): 'crit' is none of"),
        (("-c", "pager", "--quiet", "22"), "--quiet: '22' is no span of the day"),
        (("-c", "pager", "--quiet", "22:00-7:00", "--time-zone", "UTC"), "--quiet: '7:00' is no"),
        (
            ("-c", "pager", "--quiet", "22:00-07:00", "--time-zone", "Berlin"),
            "--time-zone: 'Berlin' is no time zone; did you mean Europe/Berlin?",
        ),
        (("-c", "pager", "--quiet-day", "monday"), "--quiet-day (number 1): 'monday' is none of"),
        (("-c", "pager", "--remind-after", "1x"), "--remind-after: '1x' is no length of time"),
        (("-c", "pager", "--group-by", "host"), "--group-wait: must be set"),
        (
            ("-c", "pager", "--proof-cron", "30 7", "--time-zone", "UTC"),
            "--proof-cron: '30 7' has 2 fields",
        ),
        (("-c", "pager", "--time-zone", "UTC"), "--time-zone: is for --quiet"),
    ],
)
def test_what_is_wrong_with_a_route_is_told_by_the_option(
    tocsin: Command, words: tuple[str, ...], told: str
) -> None:
    ended = tocsin("route", "create", "bad", *words)
    assert ended.code in {REFUSED, USAGE}
    assert told in ended.err
    assert [] == names(tocsin)


def test_a_route_that_there_is_not_is_told_with_those_that_there_are(tocsin: Command) -> None:
    ended = tocsin("route", "show", "nights")
    assert (REFUSED, "No route is called 'nights'. There are none.\n") == (ended.code, ended.err)
    tocsin.done("route", "create", "nights", "-c", "pager")
    assert "There are: nights." in tocsin("route", "show", "nigths").err


def test_a_silence_tells_what_it_covers_and_is_ended(tocsin: Command) -> None:
    tocsin.done("raise", "silent-1", "backup_failed", "-k", "photos")
    written = ("silence", "create", "-m", "host=silent-*", "-r", "moving", "--for", "2h")
    created = tocsin.json(*written)["silence"]
    shown = tocsin.done("silence", "show", created["silence_id"][-8:])
    assert "what          host=silent-*" in shown
    assert "reason        moving" in shown
    assert created["silence_id"][-8:] in tocsin.done("silence", "list")

    assert tocsin.done("silence", "expire", created["silence_id"]).startswith("Ended")
    again = tocsin.done("silence", "expire", created["silence_id"])
    assert "It was over already.\n" == again
    assert created["silence_id"][-8:] not in tocsin.done("silence", "list")
    assert "expired" in tocsin.done("silence", "list", "--all")


def test_a_dry_run_keeps_nothing(tocsin: Command) -> None:
    told = tocsin.done(
        *("silence", "create", "-m", "host=nobody", "-r", "x", "--until", "07:00", "--dry-run")
    )
    assert told.endswith("It covers no alert at this moment.\nNothing was kept.\n")
    assert "host=nobody" not in tocsin.done("silence", "list", "--all")


def test_a_window_says_when_it_comes_next(tocsin: Command) -> None:
    shown = tocsin.done(
        *("silence", "window", "-m", "host=patched", "-r", "patching", "--lasts", "3h"),
        *("--on-calendar", "Sun 02:00", "--time-zone", "Europe/Berlin"),
    )
    assert "Sun 02:00, Europe/Berlin, for 3h" in shown


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("create", "-m", "host=x", "-r", "x"), "A silence has an end"),
        (("create", "-m", "host=x", "-r", "x", "--for", "400d"), "--for / --until: is more than"),
        (("create", "-m", "host=x", "-r", "", "--for", "1h"), "--reason: must not be empty"),
        (("create", "-m", "event=raised", "-r", "x", "--for", "1h"), "--match (number 1): is"),
        (("create", "-m", "host", "-r", "x", "--for", "1h"), "--match: 'host' is no condition"),
        (("create", "-m", "host=x", "-r", "x", "--until", "2020-01-01T00:00:00Z"), "is past"),
        (
            ("window", "-m", "host=x", "-r", "x", "--lasts", "1h", "--time-zone", "UTC"),
            "Give one of --cron and --on-calendar.",
        ),
        (
            (
                *("window", "-m", "host=x", "-r", "x", "--lasts", "2d", "--time-zone", "UTC"),
                *("--cron", "@daily"),
            ),
            "--lasts: is longer than the time from one window to the next",
        ),
        (("expire", "zz"), "SILENCE: 'zz' is no id"),
    ],
)
def test_what_is_wrong_with_a_silence_is_told_by_the_option(
    tocsin: Command, words: tuple[str, ...], told: str
) -> None:
    ended = tocsin("silence", *words)
    assert USAGE == ended.code
    assert told in ended.err


async def test_a_silence_over_too_much_is_refused_unless_it_is_forced(tocsin: Command) -> None:
    tocsin.done("raise", "broad-1", "check_failed", "--severity", "critical")
    written = ("silence", "create", "-m", "host=broad-*", "-r", "x", "--for", "1h")

    def covered() -> int:
        return int(tocsin.json(*written, "--dry-run")["coverage"]["critical_count"])

    await eventually(covered)  # notify has heard of it
    ended = tocsin(*written)
    assert REFUSED == ended.code
    assert "1 CRITICAL alert" in ended.err
    assert "active" in tocsin.done(*written, "--force")


async def test_what_is_held_says_until_when_and_where_to_ask_why(tocsin: Command) -> None:
    silenced = tocsin.json("silence", "create", "-m", "host=held-1", "-r", "x", "--for", "1h")
    alert = tocsin.json("raise", "held-1", "check_failed")["alert"]["alert_id"]

    def held() -> list[dict[str, str]]:
        wanted = ("delivery", "list", "--alert", alert, "--state", "held")
        return list(tocsin.json(*wanted)["deliveries"])

    await eventually(held)
    end = silenced["silence"]["end_time"][:19].replace("T", " ")
    assert f"until {end}Z" in tocsin.done("delivery", "list", "--alert", alert)
    shown = tocsin.done("delivery", "show", held()[0]["delivery_id"])
    assert f"held until  {end}Z" in shown
    assert f"why: tocsin why {alert[-8:]}" in shown
