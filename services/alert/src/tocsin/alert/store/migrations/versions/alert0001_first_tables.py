"""The first tables: hosts, keys, alerts, remembered requests and the event log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "alert0001"
down_revision = None
branch_labels = None
depends_on = None

_time = postgresql.TIMESTAMP(timezone=True)
_uuid = postgresql.UUID(as_uuid=True)


def upgrade() -> None:
    _create_hosts()
    _create_alert_keys()
    _create_alerts()
    _create_requests()
    _create_events()
    _create_log_identity()


def downgrade() -> None:
    for table in ("log_identity", "events", "requests", "alerts", "alert_keys", "hosts"):
        op.drop_table(table)


def _create_hosts() -> None:
    op.create_table(
        "hosts",
        sa.Column("host_id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("labels", postgresql.JSONB, nullable=False),
        sa.Column("create_time", _time, nullable=False),
        sa.Column("update_time", _time, nullable=False),
    )


def _create_alert_keys() -> None:
    op.create_table(
        "alert_keys",
        sa.Column("host_id", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("dedup_key", sa.Text, primary_key=True),
        sa.Column("cleared_time", _time),
        sa.Column("last_alert_id", _uuid),
        postgresql_with={"fillfactor": "80"},
    )


def _create_alerts() -> None:
    op.create_table(
        "alerts",
        sa.Column("alert_id", _uuid, primary_key=True),
        sa.Column("host_id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("dedup_key", sa.Text, nullable=False),
        sa.Column("host_name", sa.Text, nullable=False),
        sa.Column("severity", sa.SmallInteger, nullable=False),
        sa.Column("status", sa.SmallInteger, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("cause", sa.Text, nullable=False),
        sa.Column("labels", postgresql.JSONB, nullable=False),
        sa.Column("occurrences", sa.BigInteger, nullable=False),
        sa.Column("raise_time", _time, nullable=False),
        sa.Column("last_seen_time", _time, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("previous_alert_id", _uuid),
        sa.Column("acknowledge_time", _time),
        sa.Column("acknowledged_by", sa.Text),
        sa.Column("acknowledge_note", sa.Text),
        sa.Column("acknowledge_expire_time", _time),
        sa.Column("resolve_time", _time),
        sa.Column("resolved_by", sa.Text),
        sa.Column("resolve_reason", sa.SmallInteger),
        sa.CheckConstraint(
            "(status = 3) = (resolve_time IS NOT NULL)", name="alerts_resolved_has_time"
        ),
        postgresql_with={"fillfactor": "80"},
    )
    op.create_index(
        "alerts_one_open_per_key",
        "alerts",
        ["host_id", "kind", "dedup_key"],
        unique=True,
        postgresql_where=sa.text("resolve_time IS NULL"),
    )
    latest_first = [sa.text("raise_time DESC"), sa.text("alert_id DESC")]
    op.create_index("alerts_by_raise", "alerts", latest_first)
    op.create_index(
        "alerts_open_by_raise",
        "alerts",
        latest_first,
        postgresql_where=sa.text("resolve_time IS NULL"),
    )
    op.create_index(
        "alerts_by_acknowledge_expiry",
        "alerts",
        ["acknowledge_expire_time"],
        postgresql_where=sa.text("status = 2"),
    )


def _create_requests() -> None:
    op.create_table(
        "requests",
        sa.Column("request_id", sa.Text, primary_key=True),
        sa.Column("fingerprint", sa.LargeBinary, nullable=False),
        sa.Column("answer", postgresql.JSONB, nullable=False),
        sa.Column("create_time", _time, nullable=False),
    )
    op.create_index("requests_by_age", "requests", ["create_time"])


def _create_events() -> None:
    op.create_table(
        "events",
        sa.Column("revision", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("alert_id", _uuid, nullable=False),
        sa.Column("host_id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("severity", sa.SmallInteger, nullable=False),
        sa.Column("type", sa.SmallInteger, nullable=False),
        sa.Column("record_time", _time, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
    )
    op.create_index("events_by_alert", "events", ["alert_id", "revision"])


def _create_log_identity() -> None:
    op.create_table(
        "log_identity",
        sa.Column("singleton", sa.Boolean, primary_key=True, server_default=sa.text("true")),
        sa.Column("epoch", _uuid, nullable=False),
        sa.Column("system_identifier", sa.Text, nullable=False),
        sa.Column("timeline", sa.BigInteger, nullable=False),
        sa.CheckConstraint("singleton", name="log_identity_one_row"),
    )
