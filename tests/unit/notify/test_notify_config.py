"""Settings of tocsin-notify: what is wrong is told, all at once, and no secret with it."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

from tocsin.common.config import ConfigError, load_settings
from tocsin.notify.config import DatabaseSettings, NotifySettings
from tocsin.notify.delivery.retry import DEFAULT_SCHEDULE

if TYPE_CHECKING:
    from pathlib import Path

KEY = base64.b64encode(b"k" * 32).decode()
PREFIX = "TOCSIN_NOTIFY_"


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv(PREFIX + "DATABASE_URL", "postgresql://tocsin:hidden@127.0.0.1/notify")
    return monkeypatch


def problems() -> tuple[str, ...]:
    with pytest.raises(ConfigError) as refusal:
        load_settings(NotifySettings)
    return refusal.value.problems


def test_the_defaults_are_those_of_the_contract(environment: pytest.MonkeyPatch) -> None:
    environment.setenv(PREFIX + "SECRET_KEY", KEY)

    settings = load_settings(NotifySettings)

    assert ("127.0.0.1:7071", "127.0.0.1:7070") == (settings.listen, settings.alert_target)
    assert DEFAULT_SCHEDULE == settings.retry_schedule
    assert b"k" * 32 == settings.key()


def test_the_key_may_come_from_a_file(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(KEY + "\n")
    environment.setenv(PREFIX + "SECRET_KEY_FILE", str(path))

    assert b"k" * 32 == load_settings(NotifySettings).key()


def test_one_key_must_be_set(environment: pytest.MonkeyPatch) -> None:
    [problem] = problems()

    assert problem.startswith("TOCSIN_NOTIFY_SECRET_KEY_FILE: is not set, nor is")


def test_only_one_key_may_be_set(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(KEY)
    environment.setenv(PREFIX + "SECRET_KEY", KEY)
    environment.setenv(PREFIX + "SECRET_KEY_FILE", str(path))

    [problem] = problems()

    assert "set only one of them" in problem


@pytest.mark.parametrize("key", ["short", base64.b64encode(b"k" * 31).decode(), "ä" * 44])
def test_a_wrong_key_is_told_without_repeating_it(
    environment: pytest.MonkeyPatch, key: str
) -> None:
    environment.setenv(PREFIX + "SECRET_KEY", key)

    [problem] = problems()

    assert problem.startswith("TOCSIN_NOTIFY_SECRET_KEY: ")
    assert "generate-key" in problem
    assert key not in problem


@pytest.mark.parametrize("content", [None, b"not a key", b"\xff\xfe"])
def test_a_wrong_key_file_is_told(
    environment: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "key"
    if content is not None:
        path.write_bytes(content)
    environment.setenv(PREFIX + "SECRET_KEY_FILE", str(path))

    [problem] = problems()

    assert problem.startswith(f"TOCSIN_NOTIFY_SECRET_KEY_FILE: {path} ")


@pytest.mark.parametrize("delays", ["0,5,x", "-1", "", "5 30", "0,999999999"])
def test_a_wrong_retry_schedule_is_told(environment: pytest.MonkeyPatch, delays: str) -> None:
    environment.setenv(PREFIX + "SECRET_KEY", KEY)
    environment.setenv(PREFIX + "RETRY_SECONDS", delays)
    if not delays:  # an empty variable counts as unset
        assert DEFAULT_SCHEDULE == load_settings(NotifySettings).retry_schedule
        return

    [problem] = problems()

    assert problem.startswith("TOCSIN_NOTIFY_RETRY_SECONDS: ")


def test_everything_that_is_wrong_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PREFIX + "DATABASE_URL", raising=False)
    monkeypatch.setenv(PREFIX + "LISTEN", "nowhere")
    monkeypatch.setenv(PREFIX + "LEASE_SECONDS", "0")
    monkeypatch.setenv(PREFIX + "ALLOWED_NETWORKS", "10.0.0.0/8,elsewhere")

    told = "\n".join(problems())

    for name in ("DATABASE_URL", "LISTEN", "LEASE_SECONDS", "ALLOWED_NETWORKS", "SECRET_KEY"):
        assert PREFIX + name in told


@pytest.mark.parametrize("purpose", ["HEALTH_LISTEN", "METRICS_LISTEN"])
def test_no_purpose_shares_the_port_of_the_service(
    environment: pytest.MonkeyPatch, purpose: str
) -> None:
    environment.setenv(PREFIX + "SECRET_KEY", KEY)
    environment.setenv(PREFIX + purpose, "127.0.0.1:7071")

    [problem] = problems()

    assert problem.startswith(f"{PREFIX}{purpose}: would listen on the same port as {PREFIX}LISTEN")


def test_a_migration_needs_no_key(environment: pytest.MonkeyPatch) -> None:
    assert "hidden" not in repr(load_settings(DatabaseSettings))
