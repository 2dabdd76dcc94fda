"""The tables of tocsin-alert. `migrations/` brings a database here; a test compares the two.

Times are of the server's clock unless said otherwise.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP, UUID

metadata = MetaData()
_time = TIMESTAMP(timezone=True)

hosts = Table(
    "hosts",
    metadata,
    Column("host_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("labels", JSONB, nullable=False),
    Column("create_time", _time, nullable=False),
    Column("update_time", _time, nullable=False),
)

# What outlives the alerts of a key. Every write locks the rows of its keys first, in the order
# of the key: this lock is what makes decisions about one key serial over all processes.
alert_keys = Table(
    "alert_keys",
    metadata,
    Column("host_id", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("dedup_key", Text, primary_key=True),
    # In the world: a failure observed before this is stale. NULL: never cleared.
    Column("cleared_time", _time),
    # The latest alert of the key, resolved or not. NULL: it never had one.
    Column("last_alert_id", UUID(as_uuid=True)),
    postgresql_with={"fillfactor": "80"},
)

alerts = Table(
    "alerts",
    metadata,
    Column("alert_id", UUID(as_uuid=True), primary_key=True),
    Column("host_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("dedup_key", Text, nullable=False),
    Column("host_name", Text, nullable=False),
    Column("severity", SmallInteger, nullable=False),
    Column("status", SmallInteger, nullable=False),
    Column("message", Text, nullable=False),
    Column("cause", Text, nullable=False),
    Column("labels", JSONB, nullable=False),
    Column("occurrences", BigInteger, nullable=False),
    Column("raise_time", _time, nullable=False),
    Column("last_seen_time", _time, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("previous_alert_id", UUID(as_uuid=True)),
    Column("acknowledge_time", _time),
    Column("acknowledged_by", Text),
    Column("acknowledge_note", Text),
    Column("acknowledge_expire_time", _time),
    Column("resolve_time", _time),
    Column("resolved_by", Text),
    Column("resolve_reason", SmallInteger),
    CheckConstraint("(status = 3) = (resolve_time IS NOT NULL)", name="alerts_resolved_has_time"),
    # The dedup primitive: at most one alert per key is not resolved.
    Index(
        "alerts_one_open_per_key",
        "host_id",
        "kind",
        "dedup_key",
        unique=True,
        postgresql_where=text("resolve_time IS NULL"),
    ),
    Index("alerts_by_raise", text("raise_time DESC"), text("alert_id DESC")),
    Index(
        "alerts_open_by_raise",
        text("raise_time DESC"),
        text("alert_id DESC"),
        postgresql_where=text("resolve_time IS NULL"),
    ),
    Index(
        "alerts_by_acknowledge_expiry",
        "acknowledge_expire_time",
        postgresql_where=text("status = 2"),
    ),
    # A touch rewrites no indexed column: with room on the page it stays a HOT update.
    postgresql_with={"fillfactor": "80"},
)

# What each request_id was answered, kept for 24 h.
requests = Table(
    "requests",
    metadata,
    Column("request_id", Text, primary_key=True),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("answer", JSONB, nullable=False),
    Column("create_time", _time, nullable=False),
    Index("requests_by_age", "create_time"),
)

# The event log. Revisions are given under an advisory lock taken last in the transaction:
# gapless and in commit order. The primary key is the safety net.
events = Table(
    "events",
    metadata,
    Column("revision", BigInteger, primary_key=True, autoincrement=False),
    Column("alert_id", UUID(as_uuid=True), nullable=False),
    Column("host_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("severity", SmallInteger, nullable=False),
    Column("type", SmallInteger, nullable=False),
    Column("record_time", _time, nullable=False),
    # The serialised AlertEvent of the contract, without its position.
    Column("payload", LargeBinary, nullable=False),
    Index("events_by_alert", "alert_id", "revision"),
)

# One row: which log this is, and on which cluster it was last seen.
log_identity = Table(
    "log_identity",
    metadata,
    Column("singleton", Boolean, primary_key=True, server_default=text("true")),
    Column("epoch", UUID(as_uuid=True), nullable=False),
    # With the OIDs of the database and of this table: eventlog/identity.py says why.
    Column("system_identifier", Text, nullable=False),
    Column("timeline", BigInteger, nullable=False),
    CheckConstraint("singleton", name="log_identity_one_row"),
)
