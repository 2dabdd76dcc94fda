"""The command `tocsin-notify`: plain lines, and exit codes that scripts can use."""

from __future__ import annotations

import base64
import os

import pytest
from typer.testing import CliRunner

from tocsin.common.commandline import BAD_SETTINGS, FAILED
from tocsin.notify.cli import cli

KEY = base64.b64encode(b"k" * 32).decode()


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tocsin.notify.cli.configure_logs", lambda *_, **__: None)
    monkeypatch.setattr("tocsin.notify.cli.collect_garbage_seldom", lambda: None)
    for name in list(os.environ):
        if name.startswith("TOCSIN_"):
            monkeypatch.delenv(name)


def test_a_generated_key_is_32_new_bytes_each_time() -> None:
    keys = {CliRunner().invoke(cli, ["generate-key"]).stdout.strip() for _ in range(2)}

    assert [32, 32] == [len(base64.b64decode(key)) for key in keys]


def test_bad_settings_end_it_with_a_line_for_each() -> None:
    run = CliRunner().invoke(cli, ["serve"])

    assert BAD_SETTINGS == run.exit_code
    assert [
        "tocsin-notify: TOCSIN_NOTIFY_DATABASE_URL",
        "tocsin-notify: TOCSIN_NOTIFY_SECRET_KEY_FILE",
    ] == [line.rpartition(": ")[0].partition(": is")[0] for line in run.stderr.splitlines()]


@pytest.mark.parametrize("command", ["serve", "migrate"])
def test_a_database_that_does_not_answer_ends_it_with_one_line(
    monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("TOCSIN_NOTIFY_DATABASE_URL", "postgresql://tocsin:hidden@127.0.0.1:1/x")
    monkeypatch.setenv("TOCSIN_NOTIFY_DATABASE_WAIT_SECONDS", "0")
    monkeypatch.setenv("TOCSIN_NOTIFY_SECRET_KEY", KEY)

    run = CliRunner().invoke(cli, [command])

    assert FAILED == run.exit_code
    [line] = [line for line in run.stderr.splitlines() if line.startswith("tocsin-notify: ")]
    assert "PostgreSQL at 127.0.0.1:1 (database x) does not answer" in line
    assert "hidden" not in run.output


def test_every_setting_is_listed() -> None:
    run = CliRunner().invoke(cli, ["settings"])

    assert "TOCSIN_NOTIFY_ALERT_TARGET=127.0.0.1:7070" in run.stdout
    assert "TOCSIN_NOTIFY_RETRY_SECONDS=0,5,30" in run.stdout
