"""The settings with which notify watches itself."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from support.notify import NO_ALERT_SERVICE, notify_settings

URL = "postgresql://nobody@127.0.0.1:1/none"
PING = "https://hc.example.org/a-long-secret-token"


def problems(**given: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        notify_settings(URL, NO_ALERT_SERVICE, **given)
    return str(caught.value)


def test_a_heartbeat_goes_with_a_canary() -> None:
    settings = notify_settings(URL, NO_ALERT_SERVICE, canary_channel="canary", heartbeat_url=PING)

    assert settings.heartbeat_url is not None
    assert PING == settings.heartbeat_url.get_secret_value()
    assert PING not in repr(settings)


def test_a_heartbeat_without_a_canary_would_prove_nothing() -> None:
    assert "TOCSIN_NOTIFY_CANARY_CHANNEL is not" in problems(heartbeat_url=PING)


def test_a_heartbeat_is_a_web_address_and_is_not_repeated() -> None:
    told = problems(canary_channel="canary", heartbeat_url="ftp://hc.example.org/secret-token")

    assert "is no URL; write https://" in told
    assert "secret-token" not in told


def test_without_a_channel_there_is_no_canary() -> None:
    assert "" == notify_settings(URL, NO_ALERT_SERVICE).canary_channel
