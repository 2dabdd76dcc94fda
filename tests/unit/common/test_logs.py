from __future__ import annotations

import io
import json
import logging
from typing import TYPE_CHECKING

import pytest
import structlog

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


def test_programs_get_one_json_object_a_line() -> None:
    out = io.StringIO()
    configure_logs("alert", stream=out)
    structlog.get_logger().info("alert_raised", alert_id="7")
    line = json.loads(out.getvalue())

    assert {"service": "alert", "level": "info", "event": "alert_raised", "alert_id": "7"} == {
        name: value for name, value in line.items() if name != "timestamp"
    }
    assert line["timestamp"].endswith("Z")


def test_people_get_words() -> None:
    out = Terminal()
    configure_logs("alert", stream=out)
    structlog.get_logger().info("alert_raised", alert_id="7")

    assert "alert_raised" in out.getvalue()
    assert not out.getvalue().startswith("{")


def test_what_libraries_log_looks_the_same() -> None:
    out = io.StringIO()
    configure_logs("alert", stream=out)
    logging.getLogger("some.library").warning("is %s", "worried")
    line = json.loads(out.getvalue())

    assert ("alert", "warning", "is worried") == (line["service"], line["level"], line["event"])


def test_the_fields_that_libraries_give_are_fields() -> None:
    out = io.StringIO()
    configure_logs("alert", stream=out)
    logging.getLogger("some.library").warning("is worried", extra={"reason": "EPOCH_CHANGED"})

    assert "EPOCH_CHANGED" == json.loads(out.getvalue())["reason"]


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_a_traceback_names_the_place_but_not_the_values(stream: type[io.StringIO]) -> None:
    out = stream()
    configure_logs("alert", stream=out)
    secret = "opensesame"
    try:
        int(secret[:0])
    except ValueError:
        structlog.get_logger().exception("failed")

    assert "ValueError" in out.getvalue()
    assert "opensesame" not in out.getvalue()


def test_what_is_below_the_level_is_not_written() -> None:
    out = io.StringIO()
    configure_logs("alert", level="WARNING", stream=out)
    structlog.get_logger().info("quiet")
    logging.getLogger("some.library").info("quiet")

    assert "" == out.getvalue()


def test_configuring_twice_does_not_write_twice() -> None:
    out = io.StringIO()
    configure_logs("alert", stream=out)
    configure_logs("alert", stream=out)
    structlog.get_logger().info("once")

    assert 1 == len(out.getvalue().splitlines())
