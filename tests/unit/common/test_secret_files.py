from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import pytest
from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from tocsin.common.config import (
    ConfigError,
    DatabaseUrl,
    ServiceSettings,
    SettingRow,
    load_settings,
    setting_rows,
)

if TYPE_CHECKING:
    from pathlib import Path

URL = "postgresql://u:hidden@h/d"


class Settings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="BELL_")

    database_url: Annotated[DatabaseUrl, Field(description="Its database.")]
    token: Annotated[SecretStr | None, Field(description="What it shows.")] = None
    rings: Annotated[int, Field(description="How often.")] = 3


@pytest.fixture
def secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that BELL_DATABASE_URL_FILE names."""
    path = tmp_path / "database-url"
    path.write_text(URL + "\n")
    monkeypatch.setenv("BELL_DATABASE_URL_FILE", str(path))
    return path


def problems() -> tuple[str, ...]:
    with pytest.raises(ConfigError) as told:
        load_settings(Settings)
    return told.value.problems


@pytest.mark.usefixtures("secret")
def test_a_secret_is_read_from_the_file_that_is_named() -> None:
    assert URL == load_settings(Settings).database_url.get_secret_value()


def test_an_optional_secret_may_come_from_a_file_too(
    secret: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text("  abc \n")
    monkeypatch.setenv("BELL_TOKEN_FILE", str(tmp_path / "token"))

    token = load_settings(Settings).token
    assert token is not None
    assert "abc" == token.get_secret_value()


def test_a_value_and_a_file_for_it_exclude_each_other(
    secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BELL_DATABASE_URL", URL)

    only = "BELL_DATABASE_URL_FILE: is set, and so is BELL_DATABASE_URL; set only one of them"
    assert (only,) == problems()


def test_a_file_that_is_not_there_is_told_once(secret: Path) -> None:
    secret.unlink()

    told = f"BELL_DATABASE_URL_FILE: {secret} cannot be read: No such file or directory"
    assert (told,) == problems()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"\n", "is empty"),
        (b"\xff\xfe", "cannot be read: it is not text"),
        (b"x" * (65 << 10), "holds over 64 KiB, which is no secret"),
    ],
)
def test_a_file_that_holds_no_secret_is_told(secret: Path, content: bytes, why: str) -> None:
    secret.write_bytes(content)

    assert (f"BELL_DATABASE_URL_FILE: {secret} {why}",) == problems()


def test_what_is_wrong_with_a_content_is_told_of_the_file_and_not_repeated(secret: Path) -> None:
    secret.write_text("mysql://u:hidden@h/d")

    (told,) = problems()
    assert told.startswith("BELL_DATABASE_URL_FILE: must begin with postgresql://")
    assert "hidden" not in told


def test_all_problems_are_told_at_once(secret: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret.unlink()
    monkeypatch.setenv("BELL_RINGS", "often")
    monkeypatch.setenv("BELL_TOKEN_FIEL", "x")

    told = {problem.partition(":")[0] for problem in problems()}
    assert {"BELL_DATABASE_URL_FILE", "BELL_RINGS", "BELL_TOKEN_FIEL"} == told


@pytest.mark.usefixtures("secret")
def test_only_secrets_may_come_from_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rings").write_text("5")
    monkeypatch.setenv("BELL_RINGS_FILE", str(tmp_path / "rings"))

    assert 3 == load_settings(Settings).rings


def test_the_files_are_listed_beside_their_settings() -> None:
    told = "A file that holds it, instead of BELL_DATABASE_URL."
    assert SettingRow("BELL_DATABASE_URL_FILE", "", told) == setting_rows(Settings)[1]
