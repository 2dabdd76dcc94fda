"""The settings of tocsin-alert, from the environment: TOCSIN_ALERT_ and the name in capitals."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Final, Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from tocsin.common.config import DatabaseUrl, ListenAddress
from tocsin.common.deployment_settings import HealthSettings, PoolerSettings
from tocsin.common.identity.settings import SecuritySettings
from tocsin.common.rpc.limit_settings import LimitSettings
from tocsin.common.telemetry.settings import TelemetrySettings

MIGRATIONS: Final = Path(__file__).parent / "store" / "migrations"


class AlertSettings(
    SecuritySettings, LimitSettings, TelemetrySettings, HealthSettings, PoolerSettings
):
    """Every setting of the service. Read them with `load_settings(AlertSettings)`."""

    model_config = SettingsConfigDict(env_prefix="TOCSIN_ALERT_")

    listen: ListenAddress = Field(
        default="127.0.0.1:7070",
        description="Where to listen, host:port. Port 0 takes a free one.",
    )
    database_url: DatabaseUrl = Field(
        description="The PostgreSQL database of this service. Options such as "
        "?sslmode=verify-full may follow; they mean what they mean to libpq. Through a pooler in "
        "transaction mode, set TOCSIN_ALERT_DATABASE_DIRECT_URL as well.",
        examples=["postgresql://tocsin:password@127.0.0.1:5432/tocsin_alert"],
    )
    workers: int = Field(
        default=1,
        ge=1,
        le=64,
        description="How many processes serve, on one port. Each is a whole service with "
        "connections of its own to the database, which puts their writes in order.",
    )
    database_connections: int = Field(
        default=10,
        ge=8,
        le=200,
        description="Connections to the database at most, 8 to 200, of each worker: five for what "
        "is written, the rest for what is read. One more listens.",
    )
    database_wait_seconds: float = Field(
        default=10,
        ge=0,
        le=600,
        description="How long to wait at the start for a database that does not answer.",
    )
    migrate_on_start: bool = Field(
        default=True,
        description="Whether to bring the schema up to date at the start, under a lock. What only "
        "older code uses is left as long as other servers are connected. If not, run "
        "`tocsin-alert migrate` first.",
    )
    drain_seconds: float = Field(
        default=5,
        ge=0,
        le=300,
        description="What calls in progress are given to finish when the service stops.",
    )
    max_batch: int = Field(
        default=500,
        ge=1,
        le=5_000,
        description="How many commands a writer lane puts into one transaction at most.",
    )
    max_queue: int = Field(
        default=10_000,
        ge=100,
        le=1_000_000,
        description="How many commands may wait for the writer lanes. Beyond it calls are "
        "refused with RESOURCE_EXHAUSTED (OVERLOADED).",
    )
    open_alerts_per_host: int = Field(
        default=1_000,
        ge=10,
        le=1_000_000,
        description="How many alerts of one host may be open, about. What else fails on it raises "
        "none then: one alert_flood stands for it and counts it, until fewer than nine tenths are "
        "open.",
    )
    retention_days: float = Field(
        default=7,
        gt=0,
        le=3_650,
        description="Events are kept at least so long.",
    )
    retention_revisions: int = Field(
        default=100_000,
        ge=1,
        le=1_000_000_000,
        description="At least so many of the newest events are kept.",
    )
    job_retention_days: float = Field(
        default=90,
        ge=1,
        le=3_650,
        description="A job is remembered so long after its last report. Until "
        "then the same report is known again.",
    )
    suppression_grace_minutes: float = Field(
        default=10,
        ge=0,
        le=1_440,
        description="When what explained an alert has healed, the alert comes out by itself "
        "if it still stands so many minutes later.",
    )
    notify_pause_ms: int = Field(
        default=20,
        ge=1,
        le=1_000,
        description="The least time between two NOTIFY to the other servers of the database, "
        "in milliseconds.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO",
        description="The least level that is logged: DEBUG, INFO, WARNING or ERROR.",
    )

    @property
    def drain(self) -> timedelta:
        return timedelta(seconds=self.drain_seconds)

    @property
    def database_wait(self) -> timedelta:
        return timedelta(seconds=self.database_wait_seconds)

    @property
    def job_retention(self) -> timedelta:
        return timedelta(days=self.job_retention_days)

    @property
    def suppression_grace(self) -> timedelta:
        return timedelta(minutes=self.suppression_grace_minutes)
