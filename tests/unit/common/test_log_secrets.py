from __future__ import annotations

import io
import json
import logging
import secrets
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from tocsin.common.identity.tokens import new_token
from tocsin.common.log_secrets import HIDDEN, without_secrets
from tocsin.common.logs import configure_logs

if TYPE_CHECKING:
    from collections.abc import Iterator


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    structlog.reset_defaults()
    root.handlers = handlers
    root.setLevel(level)


def logged(**fields: Any) -> dict[str, Any]:
    out = io.StringIO()
    configure_logs("alert", stream=out)
    structlog.get_logger().info("said", **fields)
    line: dict[str, Any] = json.loads(out.getvalue())
    return line


@pytest.mark.parametrize(
    "name",
    ["token", "bearer_token", "secret", "signing_secret", "password", "authorization", "api_key"],
)
def test_a_field_that_is_named_like_a_secret_is_blanked(name: str) -> None:
    assert HIDDEN == logged(**{name: "s3cr3t-value"})[name]


@pytest.mark.parametrize("name", ["dedup_key", "token_id", "alert_id", "secrets_found"])
def test_other_fields_stay_as_they_are(name: str) -> None:
    assert "plain" == logged(**{name: "plain"})[name]


def test_secrets_within_structures_are_blanked_too() -> None:
    line = logged(headers={"authorization": "Bearer abc", "accept": "*/*"}, urls=["x://u:pw@h/"])

    assert {"authorization": HIDDEN, "accept": "*/*"} == line["headers"]
    assert [f"x://u:{HIDDEN}@h/"] == line["urls"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "cannot reach postgresql://tocsin:p@ss:word@db:5432/x",
            f"cannot reach postgresql://tocsin:{HIDDEN}@db:5432/x",
        ),
        ("Authorization: Bearer abcdefgh12345678", f"Authorization: Bearer {HIDDEN}"),
        ("signed with whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw now", f"signed with {HIDDEN} now"),
        ("https://hooks.example/a?b=c is well", "https://hooks.example/a?b=c is well"),
        (
            "postgresql://db/x?user=a&password=p%40ss&sslmode=require",
            f"postgresql://db/x?user=a&password={HIDDEN}&sslmode=require",
        ),
        ("at 12:30 somebody@example.org wrote", "at 12:30 somebody@example.org wrote"),
    ],
)
def test_what_looks_like_a_secret_is_taken_out_of_texts(text: str, shown: str) -> None:
    assert shown == without_secrets(text)


@pytest.mark.parametrize(
    "value",
    [OSError("no postgresql://u:hunter2@db/x"), b"Bearer hunter2hunter2", {"x://u:hunter2@h"}],
    ids=["an error", "bytes", "a set"],
)
def test_what_is_no_text_is_looked_at_as_it_is_written(value: object) -> None:
    assert "hunter2" not in logged(what=value)["what"]


def test_the_traceback_of_a_library_is_shown_to_people() -> None:
    out = Terminal()
    configure_logs("alert", stream=out)
    logging.getLogger("some.library").error("lost", exc_info=OSError("no route to host"))

    assert "no route to host" in out.getvalue()


@pytest.mark.parametrize("out", [io.StringIO(), Terminal()], ids=["program", "terminal"])
def test_tracebacks_hold_no_password(out: io.StringIO) -> None:
    configure_logs("alert", stream=out)
    error = OSError("no route to postgresql://tocsin:hunter2@db/x")
    structlog.get_logger().error("lost", exc_info=error)

    assert "no route to" in out.getvalue()
    assert "hunter2" not in out.getvalue()


def test_a_token_of_ours_is_taken_out_wherever_it_stands() -> None:
    token = new_token(secrets.token_bytes)

    assert f"unknown token {HIDDEN}" == without_secrets(f"unknown token {token}")


def test_what_libraries_log_holds_no_password_either() -> None:
    out = io.StringIO()
    configure_logs("alert", stream=out)
    logging.getLogger("some.library").warning("connecting to %s", "redis://:hunter2@cache/0")

    assert "hunter2" not in out.getvalue()
