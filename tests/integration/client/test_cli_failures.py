"""How the command ends when a server fails: told briefly, with an exit code for scripts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import grpc
import pytest

from support.command import Command
from support.scripted_answers import ScriptedAnswers, answering
from tocsin.api.alert.v1.alert_service_pb2 import ListAlertsResponse
from tocsin.common.errors import (
    DataLossError,
    InvalidArgumentError,
    ResourceExhaustedError,
    TocsinError,
    UnavailableError,
    Violations,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

USAGE, UNREACHABLE, SERVER = 2, 3, 4


@pytest.fixture
def script() -> Iterator[tuple[ScriptedAnswers, Command]]:
    with answering() as (answers, target):
        yield answers, Command(target, target, timeout="1.5")


def test_a_server_that_is_not_there_ends_with_3_and_says_how_to_name_another() -> None:
    nowhere = Command(timeout="0.3")
    for words, option in (
        (("list",), "--target"),
        (("raise", "h", "k"), "--target"),
        (("ack", "25d92e82"), "--target"),
        (("watch",), "--target"),
        (("host", "list"), "--target"),
        (("channel", "list"), "--notify-target"),
        (("delivery", "list"), "--notify-target"),
    ):
        ended = nowhere(*words)
        assert (UNREACHABLE, "") == (ended.code, ended.out)
        assert ended.err.startswith("Nothing answers at 127.0.0.1:1.")
        assert option in ended.err
        assert ended.err.count("\n") == 1


def test_a_server_that_does_not_answer_in_time_ends_with_3(
    script: tuple[ScriptedAnswers, Command],
) -> None:
    answers, tocsin = script
    answers.answers["ListAlerts"].append(None)
    ended = tocsin("list")
    assert UNREACHABLE == ended.code
    assert "DEADLINE_EXCEEDED" in ended.err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UnavailableError("The database does not answer."), UNREACHABLE),
        (ResourceExhaustedError("No room left.", reason="STORAGE_FULL"), SERVER),
        (DataLossError("A gap was found.", reason="LOG_BROKEN"), SERVER),
        (InvalidArgumentError("Used before.", reason="REQUEST_ID_REUSED"), USAGE),
    ],
)
def test_an_error_of_the_server_is_told_with_its_reason(
    script: tuple[ScriptedAnswers, Command], error: TocsinError, code: int
) -> None:
    answers, tocsin = script
    answers.answers["RaiseOrTouch"].append(error)
    ended = tocsin("raise", "h", "k")
    assert (code, "") == (ended.code, ended.out)
    assert error.message in ended.err
    assert error.reason in ended.err


def test_a_target_that_is_another_service_is_told_with_the_option() -> None:
    server = grpc.server(ThreadPoolExecutor(1))
    target = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    ended = Command(target, target)("channel", "list")
    server.stop(None).wait()
    assert (SERVER, "") == (ended.code, ended.out)
    assert f"What answers at {target} does not know this call" in ended.err
    assert "--notify-target" in ended.err


def test_all_fields_that_are_wrong_are_told_at_once(
    script: tuple[ScriptedAnswers, Command],
) -> None:
    answers, tocsin = script
    wrong = Violations()
    wrong.add("labels[disk]", "is too long")
    wrong.add("observe_time", "is out of range")
    wrong.add("host_id", "has \x1b[2J in it")
    wrong.add("email.to_addresses[0]", "is no address")
    answers.answers["RaiseOrTouch"].append(InvalidArgumentError.of(wrong.found))
    ended = tocsin("raise", "h", "k")
    assert USAGE == ended.code
    assert ended.err.splitlines() == [
        "--label disk: is too long",
        "--observe-time: is out of range",
        "HOST: has \\e[2J in it",
        "--to (number 1): is no address",
    ]


def test_a_repeated_call_bears_the_same_request_id(script: tuple[ScriptedAnswers, Command]) -> None:
    answers, tocsin = script
    answers.answers["RaiseOrTouch"].append(UnavailableError("Not now."))
    tocsin("raise", "h", "k", "--request-id", "one")
    sent = answers.sent("RaiseOrTouch")
    assert {sent[0]} == set(sent)
    assert b"one" in sent[0]


def test_an_empty_list_is_said_to_people_and_is_empty_for_programs(
    script: tuple[ScriptedAnswers, Command],
) -> None:
    answers, tocsin = script
    answers.answers["ListAlerts"].append(ListAlertsResponse())
    assert tocsin.done("list") == "No alerts.\n"
    assert tocsin.json("list") == {"alerts": [], "truncated": False}
