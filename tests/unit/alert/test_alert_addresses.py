from __future__ import annotations

import pytest

from tocsin.alert.config import AlertSettings
from tocsin.common.config import ConfigError, load_settings


@pytest.mark.parametrize("purpose", ["HEALTH_LISTEN", "METRICS_LISTEN"])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_no_purpose_shares_the_port_of_the_service(
    monkeypatch: pytest.MonkeyPatch, purpose: str, workers: str
) -> None:
    monkeypatch.setenv("TOCSIN_ALERT_DATABASE_URL", "postgresql://tocsin@127.0.0.1/tocsin")
    monkeypatch.setenv("TOCSIN_ALERT_WORKERS", workers)
    monkeypatch.setenv(f"TOCSIN_ALERT_{purpose}", "127.0.0.1:7070")

    with pytest.raises(ConfigError, match=f"{purpose}: .* same port as TOCSIN_ALERT_LISTEN"):
        load_settings(AlertSettings)
