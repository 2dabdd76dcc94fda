"""Secrets in files that others could read are told of."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr
from pydantic_settings import SettingsConfigDict

from tocsin.common.config import ServiceSettings
from tocsin.common.open_files import open_to_others, secret_paths

if TYPE_CHECKING:
    from collections.abc import Iterator


class Settings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="BELL_")

    tls_certificate_file: Path | None = None
    tls_key_file: Path | None = None
    alert_token_file: Path | None = None
    database_url: SecretStr = SecretStr("x")


@pytest.fixture
def secret(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "secret"
    path.write_text("s3cr3t")
    yield path
    path.chmod(0o600)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [(0o600, False), (0o400, False), (0o640, False), (0o660, False), (0o644, True), (0o602, True)],
)
def test_a_secret_is_for_its_owner_and_group(secret: Path, mode: int, expected: bool) -> None:
    secret.chmod(mode)

    assert ([secret] if expected else []) == open_to_others([secret])


def test_what_was_handed_into_a_container_is_as_it_is(
    secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret.chmod(0o444)
    read_only = SimpleNamespace(f_flag=os.ST_RDONLY)
    monkeypatch.setattr(os, "statvfs", lambda _: read_only)

    assert [] == open_to_others([secret])


def test_a_file_that_is_not_there_is_somebody_elses_matter(tmp_path: Path) -> None:
    assert [] == open_to_others([tmp_path / "nothing"])


def test_keys_tokens_and_passwords_in_files_are_looked_at_and_certificates_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BELL_DATABASE_URL_FILE", str(tmp_path / "url"))
    settings = Settings(
        tls_certificate_file=tmp_path / "certificate",
        tls_key_file=tmp_path / "key",
        alert_token_file=tmp_path / "token",
    )

    assert [tmp_path / name for name in ("key", "token", "url")] == list(secret_paths(settings))
