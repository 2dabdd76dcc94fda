"""The tables of tocsin-notify. `migrations/` brings a database here; a test compares the two."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP, UUID

metadata = MetaData()
_time = TIMESTAMP(timezone=True)
_uuid = UUID(as_uuid=True)

channels = Table(
    "channels",
    metadata,
    Column("channel_id", _uuid, primary_key=True),
    Column("display_name", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("config", JSONB, nullable=False),
    # AES-GCM over the secrets as JSON, with the channel_id as associated data. NULL: none.
    Column("sealed_secrets", LargeBinary),
    Column("enabled", Boolean, nullable=False),
    Column("disabled_reason", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("create_time", _time, nullable=False),
    Column("update_time", _time, nullable=False),
    # A deleted channel stays for the record of what it delivered.
    Column("delete_time", _time),
    Index(
        "channels_one_per_name",
        "display_name",
        unique=True,
        postgresql_where=text("delete_time IS NULL"),
    ),
)

# One row: up to where the stream has been taken in.
follower_position = Table(
    "follower_position",
    metadata,
    Column("singleton", Boolean, primary_key=True, server_default=text("true")),
    Column("epoch", _uuid, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("update_time", _time, nullable=False),
    CheckConstraint("singleton", name="follower_position_one_row"),
)

# The alerts that are not resolved, as the stream last told them: what a snapshot is compared with
# after the log was compacted or changed its epoch.
known_alerts = Table(
    "known_alerts",
    metadata,
    Column("alert_id", _uuid, primary_key=True),
    Column("version", BigInteger, nullable=False),
    # The serialised Alert of the alert contract.
    Column("payload", LargeBinary, nullable=False),
)

# Every event taken in, whether or not a channel was there to tell it.
inbox_events = Table(
    "inbox_events",
    metadata,
    Column("event_id", _uuid, primary_key=True),
    # The order in which events were taken in: that of the log, over all epochs.
    Column("sequence", BigInteger, Identity(always=True), nullable=False, unique=True),
    Column("epoch", _uuid, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("synthetic", Boolean, nullable=False),
    Column("type", SmallInteger, nullable=False),
    # NULL only when a quarantined event does not name one.
    Column("alert_id", _uuid),
    # The notification as a document, or NULL when the event could not be read: see quarantine.
    Column("document", JSONB),
    # Why the event could not be rendered, with the raw event for a later look.
    Column("quarantine_reason", Text),
    Column("quarantined_payload", LargeBinary),
    Column("receive_time", _time, nullable=False),
    CheckConstraint(
        "(document IS NULL) = (quarantine_reason IS NOT NULL)",
        name="inbox_events_readable_or_quarantined",
    ),
    CheckConstraint(
        "document IS NULL OR alert_id IS NOT NULL", name="inbox_events_readable_has_alert"
    ),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("delivery_id", _uuid, primary_key=True),
    Column("event_id", _uuid, ForeignKey("inbox_events.event_id"), nullable=False),
    Column("channel_id", _uuid, ForeignKey("channels.channel_id"), nullable=False),
    Column("alert_id", _uuid, nullable=False),
    # inbox_events.sequence: for one channel and one alert, deliveries start in this order.
    Column("sequence", BigInteger, nullable=False),
    Column("state", SmallInteger, nullable=False),
    Column("state_reason", Text, nullable=False),
    Column("attempt_count", Integer, nullable=False),
    # Attempts that count towards the end of the retries: a redelivery sets it back to 0.
    Column("retry_count", Integer, nullable=False),
    # Whether the far side has, or may have, got it.
    Column("maybe_told", Boolean, nullable=False),
    Column("next_attempt_time", _time),
    # The fence: only the holder of this token may settle.
    Column("lease_token", _uuid),
    Column("lease_expire_time", _time),
    Column("create_time", _time, nullable=False),
    Column("settle_time", _time),
    UniqueConstraint("event_id", "channel_id", name="deliveries_once_per_event_and_channel"),
    CheckConstraint("(state = 2) = (lease_token IS NOT NULL)", name="deliveries_sending_has_lease"),
    # Order, held by the database: one delivery at a time per channel and alert is being sent …
    Index(
        "deliveries_one_sending_per_alert",
        "channel_id",
        "alert_id",
        unique=True,
        postgresql_where=text("state = 2"),
    ),
    # … and none while an earlier one is unfinished.
    Index(
        "deliveries_unfinished_by_alert",
        "channel_id",
        "alert_id",
        "sequence",
        postgresql_where=text("state IN (1, 2)"),
    ),
    Index(
        "deliveries_due",
        "channel_id",
        "next_attempt_time",
        "sequence",
        postgresql_where=text("state = 1"),
    ),
    Index("deliveries_by_lease", "lease_expire_time", postgresql_where=text("state = 2")),
    Index("deliveries_by_alert", "alert_id", "channel_id", "sequence"),
    Index("deliveries_by_channel", "channel_id", text("delivery_id DESC")),
    # What people ask for first: what was not told.
    Index(
        "deliveries_not_told", text("delivery_id DESC"), postgresql_where=text("state IN (4, 5)")
    ),
)

attempts = Table(
    "attempts",
    metadata,
    Column(
        "delivery_id",
        _uuid,
        ForeignKey("deliveries.delivery_id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("number", Integer, primary_key=True),
    Column("start_time", _time, nullable=False),
    Column("finish_time", _time),
    Column("outcome", SmallInteger),
    Column("status_code", Integer, nullable=False),
    Column("detail", Text, nullable=False),
)
