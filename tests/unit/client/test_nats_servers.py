"""Where the relay finds NATS, without a password that everybody could see."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tocsin.cli.exits import CommandError
from tocsin.cli.nats_servers import bears_secret, nats_servers

if TYPE_CHECKING:
    from pathlib import Path

URL = "tls://relay:s3cr3t@nats-1.example.org:4222"


def test_without_a_word_it_is_on_this_machine() -> None:
    assert ("nats://127.0.0.1:4222",) == nats_servers((), {})


def test_several_stand_in_one_variable() -> None:
    told = {"TOCSIN_NATS_SERVER": "nats://a:4222, nats://b:4222"}

    assert ("nats://a:4222", "nats://b:4222") == nats_servers((), told)


def test_a_file_holds_what_nobody_else_is_to_see(tmp_path: Path) -> None:
    path = tmp_path / "nats"
    path.write_text(URL + "\n")

    assert (URL,) == nats_servers((), {"TOCSIN_NATS_SERVER_FILE": str(path)})


def test_what_is_given_as_an_option_counts() -> None:
    assert ("nats://b:4222",) == nats_servers(["nats://b:4222"], {"TOCSIN_NATS_SERVER": URL})


def test_a_variable_and_a_file_at_once_are_one_too_many() -> None:
    with pytest.raises(CommandError, match="set only one of them"):
        nats_servers((), {"TOCSIN_NATS_SERVER": URL, "TOCSIN_NATS_SERVER_FILE": "/x"})


def test_a_file_that_cannot_be_read_is_told_by_its_variable(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"TOCSIN_NATS_SERVER_FILE: .* cannot be read"):
        nats_servers((), {"TOCSIN_NATS_SERVER_FILE": str(tmp_path / "nothing")})


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (URL, True),
        ("nats://t0ken@nats:4222", True),
        ("relay:s3cr3t@nats:4222", True),
        ("nats://nats:4222", False),
        ("nats:4222", False),
    ],
)
def test_a_url_with_a_password_or_a_token_is_known(url: str, expected: bool) -> None:
    assert expected == bears_secret(url)
