"""What the command says to a mistake, before any server is asked."""

from __future__ import annotations

import re

import pytest

from support.command import Command
from tocsin.cli.targets import check_target

USAGE = 2
tocsin = Command(timeout="0.2")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["riase", "h", "k"], "Did you mean 'raise'?"),
        (["channel", "creat"], "Did you mean 'create'?"),
        (["raise", "web-1"], "Missing argument 'KIND'."),
        (["ack", "25d92e82", "--fro", "4h"], "--for"),
        (["ack", "25d92e82", "--for", "4 hours"], "write for example 30m, 4h"),
        (["ack", "25d92e82", "--for", "4h", "--until", "07:00"], "exclude each other"),
        (["ack", "25d92e82", "--until", "tomorrow"], "--until: 'tomorrow' is no time"),
        (["ack", "zz"], "ALERT: 'zz' is no id"),
        (["show", "xyz12345"], "ALERT: 'xyz12345' is no id"),
        (["raise", "h", "k", "--severity", "critcal"], "Did you mean critical?"),
        (["raise", "h", "k", "--label", "x"], "write NAME=VALUE"),
        (["raise", "h", "k", "--label", "x=1", "--label", "x=2"], "'x' is given twice"),
        (["raise", "h", "k", "--observe-time", "2026-01-31T03:15:00"], "names no zone"),
        (["list", "--status", "opne"], "Did you mean open?"),
        (["list", "--limit", "0"], "'--limit'"),
        (["raise", "h", "k", "-m", "caf\udce9"], "An argument holds bytes that are not UTF-8."),
        (["delivery", "show", "zz"], "as `tocsin delivery list` shows them"),
        (["watch", "--after", "42"], "write EPOCH:REVISION"),
        (["watch", "--after", "018f2a6e-7c1b-7e1a-9d55-3b8f0c2d4e6f:-1x"], "EPOCH:REVISION"),
        (["watch", "--after", f"018f2a6e-7c1b-7e1a-9d55-3b8f0c2d4e6f:{2**63}"], "EPOCH:REVISION"),
        (["watch", "--snapshot", "--from-oldest"], "exclude each other"),
        (["watch", "--type", "raise"], "Did you mean raised?"),
        (["delivery", "list", "--state", "died"], "pending, sending, delivered"),
        (["delivery", "redeliver"], "Name one DELIVERY, or give --since"),
        (["delivery", "redeliver", "fffffff0", "--dry-run"], "the filters go with --since"),
        (["delivery", "redeliver", "--since", "soon"], "--since: 'soon' is no time"),
        (["delivery", "redeliver", "--since", "1h", "--state", "deed"], "Did you mean dead?"),
        (["why", "zz"], "ALERT: 'zz' is no id"),
        (["token", "create", "agent", "--role", "orchestartor"], "Did you mean orchestrator?"),
        (["grant", "dns:web-1", "--role", "reader"], "--role: 'reader' is none of orchestrator,"),
        (["host", "put", "h", "--profile", "servr"], "Did you mean server?"),
        (["host", "put", "h", "--offline-after", "soon"], "--offline-after: 'soon' is no length"),
        (["host", "lst"], "Did you mean 'list'?"),
        (["group", "put", "g"], "Missing option '--host'"),
        (["group", "put", "g", "--host", "h", "--objective", "1 day"], "--objective: '1 day'"),
        (["schedule", "put", "s", "--host", "h", "--job", "bakup"], "Give one of --cron"),
        (
            ["schedule", "put", "s", "--host", "h", "--job", "bakup", "--every", "1d"],
            "Did you mean backup?",
        ),
        (
            [
                "schedule",
                "put",
                "s",
                "--host",
                "h",
                "--job",
                "check",
                "--every",
                "1d",
                "--cron",
                "@daily",
            ],
            "Give one of --cron, --on-calendar and --every.",
        ),
        (["channel", "create", "webhook", "n"], "Missing option '--url'"),
        (
            [
                "channel",
                "create",
                "webhook",
                "n",
                "--url",
                "https://a",
                "--secret-file",
                "/nowhere",
            ],
            "--secret-file: /nowhere cannot be read",
        ),
    ],
)
def test_a_mistake_is_told_in_a_few_lines_and_ends_with_2(words: list[str], told: str) -> None:
    ended = tocsin(*words)
    assert (USAGE, "") == (ended.code, ended.out)
    assert told in ended.err
    assert ended.err.count("\n") <= 2
    assert "Traceback" not in ended.err


def test_help_names_the_exit_codes() -> None:
    told = tocsin_help("--help")
    assert "3 the server does not answer" in told


def test_the_version_is_told() -> None:
    assert re.fullmatch(r"tocsin \d+\.\d+\.\d+\n", tocsin_help("--version"))


@pytest.mark.parametrize(
    "words",
    ["raise", "clear", "ack", "resolve", "list", "show", "watch", "channel create email"],
)
def test_every_command_has_the_shared_options(words: str) -> None:
    told = tocsin_help(*words.split(), "--help")
    assert all(name in told for name in ("--target", "--notify-target", "--timeout", "--json"))


def test_up_with_one_database_url_asks_for_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOCSIN_ALERT_DATABASE_URL", "postgresql://localhost/a")
    monkeypatch.delenv("TOCSIN_NOTIFY_DATABASE_URL", raising=False)
    ended = tocsin.plain("up")
    assert USAGE == ended.code
    assert "TOCSIN_NOTIFY_DATABASE_URL" in ended.err


def tocsin_help(*words: str) -> str:
    ended = tocsin.plain(*words)
    assert (0, "") == (ended.code, ended.err)
    return ended.out


@pytest.mark.parametrize(
    "target", ["web-1:7070", "[::1]:7070", "dns:///web-1:7070", "unix:/run/tocsin.sock"]
)
def test_a_target_is_a_host_with_a_port_or_a_name_of_grpc(target: str) -> None:
    check_target("--target", target)


@pytest.mark.parametrize("option", ["--target", "--notify-target"])
@pytest.mark.parametrize("target", ["web-1", ":7070", "http://web-1:7070", "web-1:0", "::1:7070"])
def test_what_is_no_target_is_refused_before_anything_is_asked(option: str, target: str) -> None:
    ended = tocsin.plain("list", option, target)
    assert (USAGE, "") == (ended.code, ended.out)
    assert f"{option}: {target!r} is not HOST:PORT; write for example 127.0.0.1:7070\n" == ended.err
