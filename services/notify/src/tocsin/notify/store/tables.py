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
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP, UUID

from tocsin.common.identity.tables import add_identity_tables
from tocsin.notify.store import steering

metadata = steering.metadata
add_identity_tables(metadata)
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
    # {"burst": …, "refill_seconds": …}. NULL: the default of its type.
    Column("rate_limit", JSONB),
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
    # When whoever follows last knew that it had read all there is. NULL: never yet.
    Column("caught_up_time", _time),
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
    # The same as a document, as inbox_events has it under `alert`. NULL: kept before this was.
    Column("document", JSONB),
)

# Every event taken in, whether or not a channel was there to tell it; and the messages of notify's
# own (type from 101 on), with the position of that moment, synthetic, and an alert_id that names
# what they are about: an alert, or the message itself.
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
    # Why it is held, or ended without being told, or was given up: domain.decision.
    Column("reason", SmallInteger, nullable=False, server_default=text("0")),
    # What the reason speaks of: a silence, the alert that explains it, the delivery that tells it.
    Column("held_by", _uuid),
    # The route that addressed it. NULL: the default route, or it follows on what had none. No
    # foreign key: it outlives the route.
    Column("route_id", _uuid),
    # Whether no route named the channel for this event: it follows on what was addressed there.
    Column("follows", Boolean, nullable=False, server_default=text("false")),
    # Alerts of one channel with the same group_key are told together. Empty: none.
    Column("group_key", Text, nullable=False, server_default=text("''")),
    # inbox_events.type as it is told, fixed with the first attempt: the same bytes at every one.
    Column("told_as", SmallInteger),
    # How many earlier events of the alert it stands for.
    Column("collapsed_count", Integer, nullable=False, server_default=text("0")),
    # The digest that carries it and with which it ends. It is HELD, and untouchable, until then.
    Column("carried_by", _uuid, ForeignKey("deliveries.delivery_id", ondelete="SET NULL")),
    # When it is of no use any more. Only for messages of notify's own.
    Column("expire_time", _time),
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
    # … and one at most waits behind it or for its turn: newer news take the place of older ones.
    # What a digest carries waits for nothing but the digest.
    Index(
        "deliveries_one_waiting_per_alert",
        "channel_id",
        "alert_id",
        unique=True,
        postgresql_where=text("state IN (1, 6) AND carried_by IS NULL"),
    ),
    Index(
        "deliveries_unfinished_by_alert",
        "channel_id",
        "alert_id",
        "sequence",
        postgresql_where=text("state IN (1, 2, 6)"),
    ),
    # What waits (PENDING, or HELD for a while), by when it is looked at again. What a digest
    # carries has no such time.
    Index(
        "deliveries_due",
        "channel_id",
        "next_attempt_time",
        "sequence",
        postgresql_where=text("state IN (1, 6)"),
    ),
    Index(
        "deliveries_by_group",
        "channel_id",
        "group_key",
        postgresql_where=text("state IN (1, 6) AND group_key <> ''"),
    ),
    Index("deliveries_by_holder", "held_by", postgresql_where=text("state = 6")),
    Index("deliveries_carried", "carried_by", postgresql_where=text("carried_by IS NOT NULL")),
    Index("deliveries_by_lease", "lease_expire_time", postgresql_where=text("state = 2")),
    Index("deliveries_by_alert", "alert_id", "channel_id", "sequence"),
    Index("deliveries_by_channel", "channel_id", text("delivery_id DESC")),
    # What people ask for first: what was not told.
    Index(
        "deliveries_not_told", text("delivery_id DESC"), postgresql_where=text("state IN (4, 5)")
    ),
    # For what is sent again by a filter, and for the counts of what was given up.
    Index(
        "deliveries_given_up",
        "channel_id",
        "settle_time",
        postgresql_where=text("state IN (5, 8)"),
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
