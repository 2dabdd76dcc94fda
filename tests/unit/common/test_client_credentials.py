from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tocsin.common.identity.tokens import new_token
from tocsin.common.rpc.client_credentials import ClientCredentials, CredentialsError

if TYPE_CHECKING:
    from pathlib import Path

TOKEN = new_token(bytes)
OTHER = new_token(lambda count: b"\1" * count)
HERE = "127.0.0.1:7070"
AWAY = "alert.example.org:7070"


def test_a_token_goes_to_this_machine_in_the_clear() -> None:
    ClientCredentials(token=TOKEN).check(HERE)


def test_a_token_goes_to_no_other_machine_in_the_clear() -> None:
    with pytest.raises(CredentialsError, match="not sent in the clear to alert") as told:
        ClientCredentials(token=TOKEN).check(AWAY)

    assert TOKEN not in str(told.value)


def test_a_token_goes_anywhere_with_encryption(tmp_path: Path) -> None:
    ClientCredentials(token=TOKEN, ca_file=tmp_path / "ca.pem").check(AWAY)


def test_no_token_needs_nothing() -> None:
    ClientCredentials().check(AWAY)


def test_what_is_no_token_is_refused_without_repeating_it() -> None:
    with pytest.raises(CredentialsError, match="is no token") as told:
        ClientCredentials(token="hunter2").check(HERE)

    assert "hunter2" not in str(told.value)


def test_a_certificate_without_its_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CredentialsError, match="go together"):
        ClientCredentials(certificate_file=tmp_path / "cert.pem").check(HERE)


def test_the_token_is_not_shown_where_the_credentials_are() -> None:
    assert TOKEN not in repr(ClientCredentials(token=TOKEN))


def test_a_token_in_a_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(TOKEN + "\n")
    header = ClientCredentials(token_file=path).header()
    assert (("authorization", f"Bearer {TOKEN}"),) == header()

    path.write_text("half of a tok")
    assert (("authorization", f"Bearer {TOKEN}"),) == header()
    path.write_text(OTHER)
    assert (("authorization", f"Bearer {OTHER}"),) == header()
    path.unlink()
    assert (("authorization", f"Bearer {OTHER}"),) == header()


def test_a_file_that_holds_no_token_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(CredentialsError, match="cannot be read"):
        ClientCredentials(token_file=tmp_path / "token").header()
    (tmp_path / "token").write_text("hunter2")
    with pytest.raises(CredentialsError, match="holds no token") as told:
        ClientCredentials(token_file=tmp_path / "token").header()
    assert "hunter2" not in str(told.value)


def test_the_environment_gives_each_service_its_own_token_before_the_common_one() -> None:
    environment = {"TOCSIN_TOKEN": TOKEN, "TOCSIN_NOTIFY_TOKEN": OTHER}

    def token(service: str) -> str:
        return ClientCredentials.from_environment(service, environment).token

    assert (TOKEN, TOKEN, OTHER) == (token(""), token("ALERT"), token("NOTIFY"))


def test_a_file_for_one_service_wins_over_the_common_token() -> None:
    environment = {"TOCSIN_TOKEN": TOKEN, "TOCSIN_NOTIFY_TOKEN_FILE": "/run/token"}
    given = ClientCredentials.from_environment("NOTIFY", environment)

    assert ("", "/run/token") == (given.token, str(given.token_file))
