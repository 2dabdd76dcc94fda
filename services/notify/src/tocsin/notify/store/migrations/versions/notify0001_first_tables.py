"""The first tables: channels, the follower's position, the inbox, deliveries and attempts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "notify0001"
down_revision = None
branch_labels = None
depends_on = None

_time = postgresql.TIMESTAMP(timezone=True)
_uuid = postgresql.UUID(as_uuid=True)


def upgrade() -> None:
    _create_channels()
    _create_follower_position()
    _create_known_alerts()
    _create_inbox_events()
    _create_deliveries()
    _create_delivery_indexes()
    _create_attempts()


def downgrade() -> None:
    for table in (
        "attempts",
        "deliveries",
        "inbox_events",
        "known_alerts",
        "follower_position",
        "channels",
    ):
        op.drop_table(table)


def _create_channels() -> None:
    op.create_table(
        "channels",
        sa.Column("channel_id", _uuid, primary_key=True),
        sa.Column("display_name", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("config", postgresql.JSONB, nullable=False),
        sa.Column("sealed_secrets", sa.LargeBinary),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("disabled_reason", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("create_time", _time, nullable=False),
        sa.Column("update_time", _time, nullable=False),
        sa.Column("delete_time", _time),
    )
    op.create_index(
        "channels_one_per_name",
        "channels",
        ["display_name"],
        unique=True,
        postgresql_where=sa.text("delete_time IS NULL"),
    )


def _create_follower_position() -> None:
    op.create_table(
        "follower_position",
        sa.Column("singleton", sa.Boolean, primary_key=True, server_default=sa.text("true")),
        sa.Column("epoch", _uuid, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("update_time", _time, nullable=False),
        sa.CheckConstraint("singleton", name="follower_position_one_row"),
    )


def _create_known_alerts() -> None:
    op.create_table(
        "known_alerts",
        sa.Column("alert_id", _uuid, primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
    )


def _create_inbox_events() -> None:
    op.create_table(
        "inbox_events",
        sa.Column("event_id", _uuid, primary_key=True),
        sa.Column("sequence", sa.BigInteger, sa.Identity(always=True), nullable=False, unique=True),
        sa.Column("epoch", _uuid, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("synthetic", sa.Boolean, nullable=False),
        sa.Column("type", sa.SmallInteger, nullable=False),
        sa.Column("alert_id", _uuid),
        sa.Column("document", postgresql.JSONB),
        sa.Column("quarantine_reason", sa.Text),
        sa.Column("quarantined_payload", sa.LargeBinary),
        sa.Column("receive_time", _time, nullable=False),
        sa.CheckConstraint(
            "(document IS NULL) = (quarantine_reason IS NOT NULL)",
            name="inbox_events_readable_or_quarantined",
        ),
        sa.CheckConstraint(
            "document IS NULL OR alert_id IS NOT NULL", name="inbox_events_readable_has_alert"
        ),
    )


def _create_deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("delivery_id", _uuid, primary_key=True),
        sa.Column("event_id", _uuid, sa.ForeignKey("inbox_events.event_id"), nullable=False),
        sa.Column("channel_id", _uuid, sa.ForeignKey("channels.channel_id"), nullable=False),
        sa.Column("alert_id", _uuid, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("state", sa.SmallInteger, nullable=False),
        sa.Column("state_reason", sa.Text, nullable=False),
        sa.Column("attempt_count", sa.Integer, nullable=False),
        sa.Column("retry_count", sa.Integer, nullable=False),
        sa.Column("maybe_told", sa.Boolean, nullable=False),
        sa.Column("next_attempt_time", _time),
        sa.Column("lease_token", _uuid),
        sa.Column("lease_expire_time", _time),
        sa.Column("create_time", _time, nullable=False),
        sa.Column("settle_time", _time),
        sa.UniqueConstraint("event_id", "channel_id", name="deliveries_once_per_event_and_channel"),
        sa.CheckConstraint(
            "(state = 2) = (lease_token IS NOT NULL)", name="deliveries_sending_has_lease"
        ),
    )


def _create_delivery_indexes() -> None:
    table = "deliveries"
    by_alert = ["channel_id", "alert_id"]
    op.create_index(
        "deliveries_one_sending_per_alert",
        table,
        by_alert,
        unique=True,
        postgresql_where=sa.text("state = 2"),
    )
    op.create_index(
        "deliveries_unfinished_by_alert",
        table,
        [*by_alert, "sequence"],
        postgresql_where=sa.text("state IN (1, 2)"),
    )
    op.create_index(
        "deliveries_due",
        table,
        ["channel_id", "next_attempt_time", "sequence"],
        postgresql_where=sa.text("state = 1"),
    )
    op.create_index(
        "deliveries_by_lease",
        table,
        ["lease_expire_time"],
        postgresql_where=sa.text("state = 2"),
    )
    op.create_index("deliveries_by_alert", table, ["alert_id", "channel_id", "sequence"])
    op.create_index("deliveries_by_channel", table, ["channel_id", sa.text("delivery_id DESC")])
    op.create_index(
        "deliveries_not_told",
        table,
        [sa.text("delivery_id DESC")],
        postgresql_where=sa.text("state IN (4, 5)"),
    )


def _create_attempts() -> None:
    op.create_table(
        "attempts",
        sa.Column(
            "delivery_id",
            _uuid,
            sa.ForeignKey("deliveries.delivery_id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("start_time", _time, nullable=False),
        sa.Column("finish_time", _time),
        sa.Column("outcome", sa.SmallInteger),
        sa.Column("status_code", sa.Integer, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
    )
