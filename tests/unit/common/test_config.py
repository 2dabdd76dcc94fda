from __future__ import annotations

from ipaddress import ip_network
from typing import Annotated

import pytest
from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from tocsin.common.config import (
    ConfigError,
    DatabaseUrl,
    ListenAddress,
    Networks,
    ServiceSettings,
    SettingRow,
    Target,
    load_settings,
    setting_rows,
)


class Settings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="BELL_")

    listen: Annotated[ListenAddress, Field(description="Where it listens.")] = "127.0.0.1:7070"
    database_url: Annotated[
        DatabaseUrl,
        Field(description="Its database.", examples=["postgresql://user:password@host:port/name"]),
    ]
    max_rings: Annotated[int, Field(ge=1, le=9, description="How often.")] = 3
    tower: Annotated[Target, Field(description="Whom it calls.")] = "127.0.0.1:7071"
    networks: Annotated[Networks, Field(description="Allowed.", examples=["10.0.0.0/8"])] = ()
    pauses: Annotated[tuple[float, ...], Field(description="Between rings.")] = (0.0, 2.5)
    loud: Annotated[bool, Field(description="How.")] = True


@pytest.fixture(autouse=True)
def a_good_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BELL_DATABASE_URL", "postgresql://u:hidden@h/d")


def problems() -> tuple[str, ...]:
    with pytest.raises(ConfigError) as told:
        load_settings(Settings)
    return told.value.problems


def test_settings_come_from_the_environment_and_default_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BELL_LISTEN", "[::1]:0")
    monkeypatch.setenv("BELL_NETWORKS", "127.0.0.0/8, ::1/128")
    settings = load_settings(Settings)

    assert "[::1]:0" == settings.listen
    assert 3 == settings.max_rings
    assert (ip_network("127.0.0.0/8"), ip_network("::1/128")) == settings.networks
    assert "postgresql://u:hidden@h/d" == settings.database_url.get_secret_value()


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BELL_LISTEN", "")

    assert "127.0.0.1:7070" == load_settings(Settings).listen


def test_everything_that_is_wrong_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BELL_DATABASE_URL")
    monkeypatch.setenv("BELL_LISTEN", "7070")
    monkeypatch.setenv("BELL_MAX_RINGS", "10")

    assert (
        "BELL_LISTEN: is no address of the form host:port; write 127.0.0.1:7070",
        "BELL_DATABASE_URL: is not set; write postgresql://user:password@host:port/name",
        "BELL_MAX_RINGS: must be less than or equal to 9; write 3",
    ) == problems()


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("LISTEN", "host:", "has no port between 0 and 65535"),
        ("LISTEN", "host:65536", "has no port between 0 and 65535"),
        ("LISTEN", ":7070", "is no address of the form host:port"),
        ("LISTEN", "::1:7070", "has an IPv6 address without brackets"),
        ("TOWER", "host:0", "has port 0, which cannot be called"),
        ("MAX_RINGS", "many", "must be a valid integer; write 3"),
        (
            "NETWORKS",
            "10.0.0.0/8,10.0.0.1/8",
            "has no network as its entry number 2: bits of the host are set; write 10.0.0.0/8",
        ),
        ("NETWORKS", "10.0.0.0/8,lan", "has no network as its entry number 2; write 10.0.0.0/8"),
    ],
)
def test_each_wrong_value_is_told_by_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str
) -> None:
    monkeypatch.setenv(f"BELL_{name}", value)
    [line] = problems()

    assert f"BELL_{name}: " == line[: len(name) + 7]
    assert told in line


@pytest.mark.parametrize(
    "url",
    [
        "mysql://u:hidden@h/d",
        "postgresql://u:hidden@h",
        "u:hidden@h",
        "postgresql://u:hidden@h:x/d",
    ],
)
def test_a_wrong_database_url_is_told_without_its_password(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("BELL_DATABASE_URL", url)
    [line] = problems()

    assert line.startswith("BELL_DATABASE_URL: ")
    assert line.endswith("; write postgresql://user:password@host:port/name")
    assert "hidden" not in line


def test_the_settings_themselves_never_show_the_password() -> None:
    settings = load_settings(Settings)

    assert isinstance(settings.database_url, SecretStr)
    assert "hidden" not in f"{settings!r} {settings}"


def test_a_misspelt_variable_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BELL_MAX_RING", "4")

    assert ("BELL_MAX_RING: is no setting; did you mean BELL_MAX_RINGS?",) == problems()


def test_a_variable_of_another_program_under_the_same_prefix_is_none_of_our_business(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BELL_TARGET", "127.0.0.1:7070")

    load_settings(Settings)


def test_every_setting_can_be_listed_for_the_documentation() -> None:
    rows = setting_rows(Settings)

    assert SettingRow("BELL_LISTEN", "127.0.0.1:7070", "Where it listens.") == rows[0]
    assert SettingRow("BELL_DATABASE_URL", "", "Its database.", required=True) == rows[1]
    assert SettingRow("BELL_MAX_RINGS", "3", "How often.", bounds="1 to 9") == rows[3]
    assert ["0,2.5", "true"] == [row.default for row in rows[-2:]]
