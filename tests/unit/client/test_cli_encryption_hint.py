"""What is told when nothing answers: a server that is encrypted looks like none at all."""

from __future__ import annotations

from typing import Any

import pytest

from tocsin.cli.failures import explain
from tocsin.cli.session import Session
from tocsin.client.errors import UnavailableError

TOKEN = "tocsin_" + "A" * 43


def told(output: Any = None) -> str:
    session = Session(output, alert_target="127.0.0.1:7070")
    return str(explain(UnavailableError("no connection"), session))


@pytest.fixture(autouse=True)
def nothing_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CA_FILE", "CERTIFICATE_FILE", "KEY_FILE"):
        monkeypatch.delenv(f"TOCSIN_TLS_{name}", raising=False)
    for name in ("TOCSIN_TOKEN", "TOCSIN_ALERT_TOKEN", "TOCSIN_NOTIFY_TOKEN"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(f"{name}_FILE", raising=False)


def test_who_has_neither_token_nor_certificate_is_not_bothered() -> None:
    assert "TLS" not in told()


def test_who_has_a_token_is_told_how_to_call_what_is_encrypted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TOCSIN_TOKEN", TOKEN)

    assert told().endswith("If it is encrypted, name its authority: TOCSIN_TLS_CA_FILE.")


def test_who_encrypts_is_told_what_may_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOCSIN_TLS_CA_FILE", "/etc/tocsin/ca.pem")

    assert "TOCSIN_TLS_CERTIFICATE_FILE" in told()
