from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from pydantic_settings import SettingsConfigDict

from tocsin.common.config import ConfigError, ListenAddress, load_settings
from tocsin.common.deployment_settings import HealthSettings
from tocsin.common.identity.settings import SecuritySettings
from tocsin.common.rpc.loopback import is_loopback, listens_on_loopback
from tocsin.common.telemetry.settings import TelemetrySettings

if TYPE_CHECKING:
    from pathlib import Path


class BellSettings(SecuritySettings, HealthSettings, TelemetrySettings):
    model_config = SettingsConfigDict(env_prefix="BELL_")

    listen: ListenAddress = "127.0.0.1:7070"


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """The variables that name a certificate, its key and an authority."""
    authority = trustme.CA()
    certificate = authority.issue_cert("bell.example.org")
    (tmp_path / "cert.pem").write_bytes(b"".join(b.bytes() for b in certificate.cert_chain_pems))
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return {
        "TLS_CERTIFICATE_FILE": str(tmp_path / "cert.pem"),
        "TLS_KEY_FILE": str(tmp_path / "key.pem"),
        "TLS_CLIENT_CA_FILE": str(tmp_path / "ca.pem"),
    }


def load(monkeypatch: pytest.MonkeyPatch, **given: str) -> BellSettings:
    for name, value in given.items():
        monkeypatch.setenv(f"BELL_{name}", value)
    return load_settings(BellSettings)


def problems(monkeypatch: pytest.MonkeyPatch, **given: str) -> str:
    with pytest.raises(ConfigError) as told:
        load(monkeypatch, **given)
    return str(told.value)


def test_tokens_over_loopback_need_no_encryption(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(monkeypatch).server_tls() is None


def test_off_loopback_it_asks_for_encryption(monkeypatch: pytest.MonkeyPatch) -> None:
    told = problems(monkeypatch, LISTEN="0.0.0.0:7070")

    assert told.startswith("BELL_LISTEN: is no address on loopback")
    assert "set BELL_TLS_CERTIFICATE_FILE and BELL_TLS_KEY_FILE" in told


def test_with_encryption_it_may_listen_anywhere(
    monkeypatch: pytest.MonkeyPatch, files: dict[str, str]
) -> None:
    settings = load(monkeypatch, LISTEN="0.0.0.0:7070", **files)

    assert settings.server_tls() is not None
    assert settings.clients_certified


def test_insecure_dev_is_for_loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(monkeypatch, INSECURE_DEV="true").insecure_dev
    told = problems(monkeypatch, INSECURE_DEV="true", LISTEN="0.0.0.0:7070")
    assert told.startswith("BELL_INSECURE_DEV: is for a service on loopback, and BELL_LISTEN")


def test_insecure_dev_and_encryption_contradict_each_other(
    monkeypatch: pytest.MonkeyPatch, files: dict[str, str]
) -> None:
    assert "set only one" in problems(monkeypatch, INSECURE_DEV="true", **files)


@pytest.mark.parametrize("missing", ["TLS_CERTIFICATE_FILE", "TLS_KEY_FILE"])
def test_a_certificate_and_its_key_go_together(
    monkeypatch: pytest.MonkeyPatch, files: dict[str, str], missing: str
) -> None:
    del files[missing]

    assert "go together" in problems(monkeypatch, **files)


def test_a_second_address_needs_an_authority_to_trust(
    monkeypatch: pytest.MonkeyPatch, files: dict[str, str]
) -> None:
    del files["TLS_CLIENT_CA_FILE"]

    told = problems(monkeypatch, CERTIFIED_LISTEN="127.0.0.1:7443", **files)

    assert told.startswith("BELL_CERTIFIED_LISTEN: needs BELL_TLS_CLIENT_CA_FILE")


@pytest.mark.parametrize("name", ["CERTIFIED_LISTEN", "HEALTH_LISTEN", "METRICS_LISTEN"])
@pytest.mark.parametrize("address", ["127.0.0.1:7070", "localhost:7070", "0.0.0.0:7070"])
def test_no_two_purposes_have_one_port(
    monkeypatch: pytest.MonkeyPatch, files: dict[str, str], name: str, address: str
) -> None:
    told = problems(monkeypatch, **files, **{name: address})

    assert f"BELL_{name}: would listen on the same port as BELL_LISTEN; give each a" in told


def test_purposes_beside_the_service_have_ports_of_their_own_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = problems(monkeypatch, HEALTH_LISTEN="127.0.0.1:9", METRICS_LISTEN="127.0.0.1:9")

    assert told.startswith("BELL_METRICS_LISTEN: would listen on the same port as BELL_HEALTH_")


@pytest.mark.parametrize("address", ["127.0.0.1:0", "127.0.0.2:7070", "[::1]:7070", "h:7070"])
def test_a_free_port_and_one_of_another_address_are_no_clash(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    assert address == load(monkeypatch, HEALTH_LISTEN=address).health_listen


def test_free_ports_do_not_clash(monkeypatch: pytest.MonkeyPatch) -> None:
    free = "127.0.0.1:0"

    settings = load(monkeypatch, LISTEN=free, HEALTH_LISTEN=free, METRICS_LISTEN=free)

    assert free == settings.metrics_listen


def test_a_key_of_another_certificate_is_found_before_anybody_calls(
    monkeypatch: pytest.MonkeyPatch, files: dict[str, str], tmp_path: Path
) -> None:
    trustme.CA().issue_cert("x").private_key_pem.write_to_path(tmp_path / "key.pem")

    assert "no certificate with its key" in problems(monkeypatch, **files)


def test_a_file_that_is_missing_is_named(
    monkeypatch: pytest.MonkeyPatch, files: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "cert.pem").unlink()

    told = problems(monkeypatch, **files)

    assert f"{tmp_path / 'cert.pem'} cannot be read: No such file" in told


def test_an_authority_that_is_none_is_found(
    monkeypatch: pytest.MonkeyPatch, files: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "ca.pem").write_text("nothing")

    assert "holds no certificates" in problems(monkeypatch, **files)


def test_a_key_with_a_passphrase_is_refused_and_nobody_is_asked(
    monkeypatch: pytest.MonkeyPatch, files: dict[str, str], tmp_path: Path
) -> None:
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key((tmp_path / "key.pem").read_bytes(), None)
    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )

    assert "passphrase" in problems(monkeypatch, **files)
    assert ssl.OPENSSL_VERSION


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("127.0.0.1:7070", True),
        ("127.8.9.1:7070", True),
        ("[::1]:7070", True),
        ("localhost:7070", True),
        ("unix:/run/tocsin.sock", True),
        ("ipv4:127.0.0.1:7070", True),
        ("dns:///localhost:7070", True),
        ("0.0.0.0:7070", False),
        ("[::]:7070", False),
        ("10.0.0.1:7070", False),
        ("alert.example.org:7070", False),
        ("localhost.example.org:7070", False),
        ("dns:///127.0.0.1.example.org:1", False),
        ("", False),
    ],
)
def test_what_stays_on_this_machine(target: str, expected: bool) -> None:
    assert expected == is_loopback(target)


@pytest.mark.parametrize(
    ("addresses", "expected"),
    [(["127.0.0.1", "::1"], True), (["127.0.0.1", "192.0.2.7"], False), (["fe80::1%eth0"], False)],
)
def test_localhost_is_what_the_system_says_it_is(addresses: list[str], expected: bool) -> None:
    def resolve(host: str, *_: object, **__: object) -> list[Any]:
        assert "localhost" == host
        return [(0, 0, 0, "", (address, 0)) for address in addresses]

    assert expected == listens_on_loopback("localhost:7070", resolve)


def test_a_localhost_that_nobody_knows_is_left_to_whoever_listens_there() -> None:
    def resolve(*_: object, **__: object) -> list[Any]:
        raise OSError

    assert listens_on_loopback("localhost:7070", resolve)
    assert not listens_on_loopback("0.0.0.0:7070", resolve)


def test_each_thing_that_is_wrong_is_a_problem_of_its_own(
    monkeypatch: pytest.MonkeyPatch, files: dict[str, str]
) -> None:
    del files["TLS_KEY_FILE"]
    del files["TLS_CERTIFICATE_FILE"]
    with pytest.raises(ConfigError) as told:
        load(monkeypatch, LISTEN="0.0.0.0:7070", **files)

    assert ["BELL_TLS_CLIENT_CA_FILE", "BELL_LISTEN"] == [
        problem.partition(":")[0] for problem in told.value.problems
    ]
