"""The settings of tocsin-notify, from the environment: TOCSIN_NOTIFY_ and the name in capitals."""

from __future__ import annotations

import base64
import binascii
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import NoDecode, SettingsConfigDict

from tocsin.common.config import DatabaseUrl, ListenAddress, Networks
from tocsin.common.deployment_settings import HealthSettings, PoolerSettings
from tocsin.common.identity.settings import SecuritySettings
from tocsin.common.rpc.limit_settings import LimitSettings
from tocsin.common.telemetry.settings import TelemetrySettings
from tocsin.notify.delivery.breaker import BreakerRule
from tocsin.notify.delivery.retry import DEFAULT_SCHEDULE, RetrySchedule
from tocsin.notify.domain.flap import FlapRule
from tocsin.notify.follower.settings import AlertAccessSettings
from tocsin.notify.sweep.settings import WatchSettings

KEY_BYTES = 32
_WRITE_A_KEY = "write 32 bytes in base64, as `tocsin-notify generate-key` prints them"
_LONGEST_DELAY = timedelta(days=7).total_seconds()
_MOST_ATTEMPTS = 100


def _read_key(text: str) -> bytes:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"is not base64; {_WRITE_A_KEY}") from None
    if len(key) != KEY_BYTES:
        raise ValueError(f"holds {len(key)} bytes; {_WRITE_A_KEY}")
    return key


def _key(secret: SecretStr) -> SecretStr:
    _read_key(secret.get_secret_value())
    return secret


def _key_file(path: Path) -> Path:
    try:
        text = path.read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ValueError(f"{path} cannot be read: {why}") from None
    try:
        _read_key(text)
    except ValueError as error:
        raise ValueError(f"{path} {error}") from None
    return path


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


def _delays(delays: tuple[float, ...]) -> tuple[float, ...]:
    if not 1 <= len(delays) <= _MOST_ATTEMPTS:
        raise ValueError(f"must have 1 to {_MOST_ATTEMPTS} delays")
    if not all(0 <= delay <= _LONGEST_DELAY for delay in delays):
        raise ValueError(f"must have delays of 0 to {_LONGEST_DELAY:.0f} seconds")
    return delays


Delays = Annotated[tuple[float, ...], NoDecode, BeforeValidator(_split), AfterValidator(_delays)]


class DatabaseSettings(PoolerSettings):
    """Where the data is: all that `tocsin-notify migrate` needs."""

    model_config = SettingsConfigDict(env_prefix="TOCSIN_NOTIFY_")

    database_url: DatabaseUrl = Field(
        description="The PostgreSQL database of this service. Through a pooler in transaction "
        "mode, set TOCSIN_NOTIFY_DATABASE_DIRECT_URL as well.",
        examples=["postgresql://tocsin:password@127.0.0.1:5432/tocsin_notify"],
    )
    database_wait_seconds: float = Field(
        default=10,
        ge=0,
        le=600,
        description="How long to wait at the start for a database that does not answer.",
    )

    @property
    def database_wait(self) -> timedelta:
        return timedelta(seconds=self.database_wait_seconds)


class NotifySettings(
    SecuritySettings,
    AlertAccessSettings,
    LimitSettings,
    TelemetrySettings,
    WatchSettings,
    HealthSettings,
    DatabaseSettings,
):
    """Every setting of the service. Read them with `load_settings(NotifySettings)`."""

    listen: ListenAddress = Field(
        default="127.0.0.1:7071",
        description="Where to listen, host:port. Port 0 takes a free one.",
    )
    database_connections: int = Field(
        default=10,
        ge=4,
        le=200,
        description="Connections to the database at most, 4 to 200. The follower keeps one.",
    )
    migrate_on_start: bool = Field(
        default=True,
        description="Whether to bring the schema up to date at the start, under a lock. What only "
        "older code uses is left as long as other servers are connected. If not, run "
        "`tocsin-notify migrate` first.",
    )
    secret_key: Annotated[SecretStr, AfterValidator(_key)] | None = Field(
        default=None,
        description="The key that seals the channels' secrets: 32 bytes in base64. Set this or "
        "TOCSIN_NOTIFY_SECRET_KEY_FILE.",
    )
    secret_key_file: Annotated[Path, AfterValidator(_key_file)] | None = Field(
        default=None,
        validate_default=True,
        description="A file that holds that key.",
    )
    allowed_networks: Networks = Field(
        default=(),
        description="Networks that channels may reach although they are not public, as CIDRs with "
        "commas between them.",
        examples=["10.0.0.0/8,127.0.0.0/8"],
    )
    channel_concurrency: int = Field(
        default=8,
        ge=1,
        le=256,
        description="How many deliveries to one channel are under way at one time, at most.",
    )
    catch_up_wait_seconds: float = Field(
        default=300,
        ge=0,
        le=86_400,
        description="How long nothing is sent after a start unless all that tocsin-alert has "
        "committed is known here. Then what is known is sent.",
    )
    breaker_failures: int = Field(
        default=5,
        ge=0,
        le=1_000,
        description="After so many attempts in a row that failed, a channel is tried with one "
        "message at a time, more and more rarely, up to every 5 minutes. 0 means never.",
    )
    flap_raises: int = Field(
        default=6,
        ge=0,
        le=100,
        description="When an alert with the same host, kind and key is raised so often within "
        "TOCSIN_NOTIFY_FLAP_WINDOW_SECONDS, one message says so, and the next one says when it is "
        "over. 0 means never.",
    )
    flap_window_seconds: float = Field(
        default=3_600,
        ge=1,
        le=604_800,
        description="In which time those raises are counted.",
    )
    flap_calm_seconds: float = Field(
        default=3_600,
        ge=1,
        le=604_800,
        description="After how long without a raise it is over. What is still wrong is told then.",
    )
    lease_seconds: float = Field(
        default=30,
        ge=1,
        le=3_600,
        description="How long a worker holds a delivery before another may take it. An attempt "
        "ends within 0.8 of it. All replicas must have the same.",
    )
    retry_seconds: Delays = Field(
        default=tuple(delay.total_seconds() for delay in DEFAULT_SCHEDULE.delays),
        description="How long to wait before each attempt, in seconds, the first one included. "
        "After the last one a delivery is dead. Each varies by 20 %.",
        examples=["0,5,30,120"],
    )
    drain_seconds: float = Field(
        default=10,
        ge=0,
        le=300,
        description="What calls and deliveries under way are given to finish when the service "
        "stops.",
    )
    retention_days: int = Field(
        default=90,
        ge=1,
        le=36_500,
        description="How many days to keep events, deliveries and attempts, at least. Those of an "
        "alert go together, when it is resolved and all of it was told or given up so long ago.",
    )
    silence_max_hosts: int = Field(
        default=5,
        ge=0,
        le=1_000_000,
        description="How many hosts a silence may cover when it is created without being forced.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO",
        description="The least level that is logged: DEBUG, INFO, WARNING or ERROR.",
    )

    @field_validator("secret_key_file")
    @classmethod
    def _one_key(cls, path: Path | None, info: ValidationInfo) -> Path | None:
        if "secret_key" not in info.data:  # it is wrong, which is told already
            return path
        other = info.data["secret_key"]
        if path is None and other is None:
            raise ValueError("is not set, nor is TOCSIN_NOTIFY_SECRET_KEY; " + _WRITE_A_KEY)
        if path is not None and other is not None:
            raise ValueError("is set, and so is TOCSIN_NOTIFY_SECRET_KEY; set only one of them")
        return path

    def key(self) -> bytes:
        """Return the key that seals the channels' secrets."""
        if self.secret_key is not None:
            return _read_key(self.secret_key.get_secret_value())
        if self.secret_key_file is None:
            raise ValueError("no key is set")
        return _read_key(self.secret_key_file.read_text("ascii"))

    @property
    def drain(self) -> timedelta:
        return timedelta(seconds=self.drain_seconds)

    @property
    def catch_up_wait(self) -> timedelta:
        return timedelta(seconds=self.catch_up_wait_seconds)

    @property
    def breaker_rule(self) -> BreakerRule:
        return BreakerRule(self.breaker_failures)

    @property
    def flap_rule(self) -> FlapRule:
        return FlapRule(
            self.flap_raises,
            timedelta(seconds=self.flap_window_seconds),
            timedelta(seconds=self.flap_calm_seconds),
        )

    @property
    def lease(self) -> timedelta:
        return timedelta(seconds=self.lease_seconds)

    @property
    def retention(self) -> timedelta:
        return timedelta(days=self.retention_days)

    @property
    def retry_schedule(self) -> RetrySchedule:
        return RetrySchedule(tuple(timedelta(seconds=delay) for delay in self.retry_seconds))
