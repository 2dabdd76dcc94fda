"""The tables that steer what is told. The metadata of `tables.py` holds these and the others."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    Table,
    Text,
    text,
)
from sqlalchemy import BigInteger as Big
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP, UUID

metadata = MetaData()
_time = TIMESTAMP(timezone=True)
_uuid = UUID(as_uuid=True)

routes = Table(
    "routes",
    metadata,
    Column("route_id", _uuid, primary_key=True),
    # 1, 2, … without gaps. Not unique: a reordering writes many at once.
    Column("position", Integer, nullable=False),
    Column("display_name", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("channel_ids", ARRAY(_uuid), nullable=False),
    # All else that a caller gives, as a document.
    Column("config", JSONB, nullable=False),
    Column("version", Big, nullable=False),
    Column("create_time", _time, nullable=False),
    Column("update_time", _time, nullable=False),
    # When its channels are told next how all backups stand. NULL: never.
    Column("next_proof_time", _time),
    Index("routes_one_per_name", "display_name", unique=True),
    Index(
        "routes_by_proof", "next_proof_time", postgresql_where=text("next_proof_time IS NOT NULL")
    ),
)

silences = Table(
    "silences",
    metadata,
    Column("silence_id", _uuid, primary_key=True),
    Column("matchers", JSONB, nullable=False),
    Column("start_time", _time, nullable=False),
    # NULL: a maintenance window without an end.
    Column("end_time", _time),
    Column("recurrence", JSONB),
    Column("duration_seconds", Double),
    Column("author", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("create_time", _time, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("expire_time", _time),
    Column("expired_by", Text, nullable=False),
    CheckConstraint(
        "end_time IS NOT NULL OR recurrence IS NOT NULL", name="silences_end_or_come_again"
    ),
    CheckConstraint(
        "(recurrence IS NULL) = (duration_seconds IS NULL)", name="silences_windows_have_a_length"
    ),
    # Those that are or may become active.
    Index("silences_not_expired", "end_time", postgresql_where=text("expire_time IS NULL")),
    Index(
        "silences_one_per_request",
        "request_id",
        "created_by",
        unique=True,
        postgresql_where=text("request_id <> ''"),
    ),
)

# What a channel knows of an alert: one row from the first event that is addressed there on. Every
# decision about a channel and an alert locks it first, in the order of the key.
tellings = Table(
    "tellings",
    metadata,
    Column("channel_id", _uuid, ForeignKey("channels.channel_id"), primary_key=True),
    Column("alert_id", _uuid, primary_key=True),
    Column("route_id", _uuid),
    Column("group_key", Text, nullable=False),
    Column("maybe_told", Boolean, nullable=False),
    Column("is_over", Boolean, nullable=False),
    Column("reminder_count", Integer, nullable=False),
    Column("next_reminder_time", _time),
    Index("tellings_by_alert", "alert_id"),
    Index(
        "tellings_by_reminder",
        "next_reminder_time",
        postgresql_where=text("next_reminder_time IS NOT NULL"),
    ),
)

# What cannot be read from the deliveries: holds, and events that were addressed to nobody. A hold
# is written when its reason or its holder changes, not each time that it is prolonged.
decisions = Table(
    "decisions",
    metadata,
    Column("decision_id", Big, Identity(always=True), primary_key=True),
    Column("time", _time, nullable=False),
    Column(
        "event_id",
        _uuid,
        ForeignKey("inbox_events.event_id", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("alert_id", _uuid, nullable=False),
    Column("channel_id", _uuid),
    Column("delivery_id", _uuid),
    Column("reason", SmallInteger, nullable=False),
    Column("by_id", _uuid),
    Column("until_time", _time),
    Index("decisions_by_alert", "alert_id", "decision_id"),
    Index("decisions_by_event", "event_id"),
)

# Bucket and breaker of a channel. No row: the bucket is full, and the breaker closed.
channel_states = Table(
    "channel_states",
    metadata,
    Column("channel_id", _uuid, ForeignKey("channels.channel_id"), primary_key=True),
    Column("tokens", Double, nullable=False, server_default=text("0")),
    # NULL: it is full.
    Column("tokens_time", _time),
    Column("breaker", SmallInteger, nullable=False, server_default=text("1")),
    Column("failure_count", Integer, nullable=False, server_default=text("0")),
    Column("since_time", _time),
    Column("probe_time", _time),
    Column("failing_since", _time),
    Column("last_error", Text, nullable=False, server_default=text("''")),
    Column("last_error_time", _time),
    Column("last_success_time", _time),
    # Whether tocsin-alert was told that it fails.
    Column("failure_raised", Boolean, nullable=False, server_default=text("false")),
    postgresql_with={"fillfactor": "50"},
)

# Keys that were raised lately.
flaps = Table(
    "flaps",
    metadata,
    Column("host_id", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("dedup_key", Text, primary_key=True),
    Column("raise_times", ARRAY(_time), nullable=False),
    # Set while it flaps: what its two notices are told under.
    Column("subject_id", _uuid),
    # Until when it flaps unless it is raised again; else when its row may be forgotten.
    Column("until_time", _time, nullable=False),
    Index("flaps_by_end", "until_time"),
    # Those that flap: seldom any, while everything that was raised lately has a row.
    Index("flaps_flapping", "until_time", postgresql_where=text("subject_id IS NOT NULL")),
)

# The synthetic alerts that prove the whole way, the latest runs.
canary_runs = Table(
    "canary_runs",
    metadata,
    Column("run_id", _uuid, primary_key=True),
    Column("alert_id", _uuid),
    Column("start_time", _time, nullable=False),
    # When its delivery was accepted. NULL: not yet, or never.
    Column("arrive_time", _time),
    # When the heartbeat was sent for it.
    Column("heartbeat_time", _time),
    Column("problem", Text, nullable=False),
    Index("canary_runs_by_start", text("start_time DESC")),
)
