"""Routes, silences, tellings, decisions, the health of channels, and what deliveries need for them.

For what was delivered before, tellings are made from the deliveries, so that what follows on it
still goes where it was told.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "notify0002"
down_revision = "notify0001"
branch_labels = None
depends_on = None

_time = postgresql.TIMESTAMP(timezone=True)
_uuid = postgresql.UUID(as_uuid=True)

# The last event of an alert says whether it is over; 6 is RESOLVED.
_MAKE_TELLINGS = """
INSERT INTO tellings (channel_id, alert_id, group_key, maybe_told, is_over, reminder_count)
SELECT d.channel_id, d.alert_id, '', bool_or(d.maybe_told), bool_or(i.type = 6), 0
  FROM deliveries d JOIN inbox_events i ON i.event_id = d.event_id
 GROUP BY d.channel_id, d.alert_id
"""


def upgrade() -> None:
    op.add_column("channels", sa.Column("rate_limit", postgresql.JSONB))
    op.add_column("follower_position", sa.Column("caught_up_time", _time))
    op.add_column("known_alerts", sa.Column("document", postgresql.JSONB))
    _change_deliveries()
    _change_delivery_indexes()
    _create_routes()
    _create_silences()
    _create_tellings()
    _create_decisions()
    _create_channel_states()
    _create_flaps()
    _create_canary_runs()


def downgrade() -> None:
    for table in (
        "canary_runs",
        "flaps",
        "channel_states",
        "decisions",
        "tellings",
        "silences",
        "routes",
    ):
        op.drop_table(table)
    _restore_delivery_indexes()
    for column in (
        "expire_time",
        "carried_by",
        "collapsed_count",
        "told_as",
        "group_key",
        "follows",
        "route_id",
        "held_by",
        "reason",
    ):
        op.drop_column("deliveries", column)
    op.drop_column("known_alerts", "document")
    op.drop_column("follower_position", "caught_up_time")
    op.drop_column("channels", "rate_limit")


def _change_deliveries() -> None:
    for column in (
        sa.Column("reason", sa.SmallInteger, nullable=False, server_default=sa.text("0")),
        sa.Column("held_by", _uuid),
        sa.Column("route_id", _uuid),
        sa.Column("follows", sa.Boolean, nullable=False, server_default=sa.text("false")),
        sa.Column("group_key", sa.Text, nullable=False, server_default=sa.text("''")),
        sa.Column("told_as", sa.SmallInteger),
        sa.Column("collapsed_count", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column(
            "carried_by", _uuid, sa.ForeignKey("deliveries.delivery_id", ondelete="SET NULL")
        ),
        sa.Column("expire_time", _time),
    ):
        op.add_column("deliveries", column)


def _change_delivery_indexes() -> None:
    table = "deliveries"
    op.drop_index("deliveries_unfinished_by_alert", table)
    op.drop_index("deliveries_due", table)
    for name, columns, where in (
        (
            "deliveries_unfinished_by_alert",
            ["channel_id", "alert_id", "sequence"],
            "state IN (1, 2, 6)",
        ),
        (
            "deliveries_due",
            ["channel_id", "next_attempt_time", "sequence"],
            "state IN (1, 6)",
        ),
        (
            "deliveries_by_group",
            ["channel_id", "group_key"],
            "state IN (1, 6) AND group_key <> ''",
        ),
        ("deliveries_by_holder", ["held_by"], "state = 6"),
        ("deliveries_carried", ["carried_by"], "carried_by IS NOT NULL"),
        ("deliveries_given_up", ["channel_id", "settle_time"], "state IN (5, 8)"),
    ):
        op.create_index(name, table, columns, postgresql_where=sa.text(where))


def _restore_delivery_indexes() -> None:
    """What is held waits its turn again, and what is superseded or expired counts as suppressed."""
    op.execute(
        "UPDATE deliveries SET state = 1, next_attempt_time = coalesce(next_attempt_time, now())"
        " WHERE state = 6"
    )
    op.execute("UPDATE deliveries SET state = 4 WHERE state IN (7, 8)")
    table = "deliveries"
    for name in (
        "deliveries_given_up",
        "deliveries_carried",
        "deliveries_by_holder",
        "deliveries_by_group",
        "deliveries_due",
        "deliveries_unfinished_by_alert",
    ):
        op.drop_index(name, table)
    op.create_index(
        "deliveries_unfinished_by_alert",
        table,
        ["channel_id", "alert_id", "sequence"],
        postgresql_where=sa.text("state IN (1, 2)"),
    )
    op.create_index(
        "deliveries_due",
        table,
        ["channel_id", "next_attempt_time", "sequence"],
        postgresql_where=sa.text("state = 1"),
    )


def _create_routes() -> None:
    op.create_table(
        "routes",
        sa.Column("route_id", _uuid, primary_key=True),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("display_name", sa.Text, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("channel_ids", sa.ARRAY(_uuid), nullable=False),
        sa.Column("config", postgresql.JSONB, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("create_time", _time, nullable=False),
        sa.Column("update_time", _time, nullable=False),
        sa.Column("next_proof_time", _time),
    )
    op.create_index("routes_one_per_name", "routes", ["display_name"], unique=True)
    op.create_index(
        "routes_by_proof",
        "routes",
        ["next_proof_time"],
        postgresql_where=sa.text("next_proof_time IS NOT NULL"),
    )


def _create_silences() -> None:
    op.create_table(
        "silences",
        sa.Column("silence_id", _uuid, primary_key=True),
        sa.Column("matchers", postgresql.JSONB, nullable=False),
        sa.Column("start_time", _time, nullable=False),
        sa.Column("end_time", _time),
        sa.Column("recurrence", postgresql.JSONB),
        sa.Column("duration_seconds", sa.Double),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("create_time", _time, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("expire_time", _time),
        sa.Column("expired_by", sa.Text, nullable=False),
        sa.CheckConstraint(
            "end_time IS NOT NULL OR recurrence IS NOT NULL", name="silences_end_or_come_again"
        ),
        sa.CheckConstraint(
            "(recurrence IS NULL) = (duration_seconds IS NULL)",
            name="silences_windows_have_a_length",
        ),
    )
    op.create_index(
        "silences_not_expired",
        "silences",
        ["end_time"],
        postgresql_where=sa.text("expire_time IS NULL"),
    )
    op.create_index(
        "silences_one_per_request",
        "silences",
        ["request_id", "created_by"],
        unique=True,
        postgresql_where=sa.text("request_id <> ''"),
    )


def _create_tellings() -> None:
    op.create_table(
        "tellings",
        sa.Column("channel_id", _uuid, sa.ForeignKey("channels.channel_id"), primary_key=True),
        sa.Column("alert_id", _uuid, primary_key=True),
        sa.Column("route_id", _uuid),
        sa.Column("group_key", sa.Text, nullable=False),
        sa.Column("maybe_told", sa.Boolean, nullable=False),
        sa.Column("is_over", sa.Boolean, nullable=False),
        sa.Column("reminder_count", sa.Integer, nullable=False),
        sa.Column("next_reminder_time", _time),
    )
    op.create_index("tellings_by_alert", "tellings", ["alert_id"])
    op.create_index(
        "tellings_by_reminder",
        "tellings",
        ["next_reminder_time"],
        postgresql_where=sa.text("next_reminder_time IS NOT NULL"),
    )
    op.execute(_MAKE_TELLINGS)


def _create_decisions() -> None:
    op.create_table(
        "decisions",
        sa.Column("decision_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("time", _time, nullable=False),
        sa.Column(
            "event_id",
            _uuid,
            sa.ForeignKey("inbox_events.event_id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("alert_id", _uuid, nullable=False),
        sa.Column("channel_id", _uuid),
        sa.Column("delivery_id", _uuid),
        sa.Column("reason", sa.SmallInteger, nullable=False),
        sa.Column("by_id", _uuid),
        sa.Column("until_time", _time),
    )
    op.create_index("decisions_by_alert", "decisions", ["alert_id", "decision_id"])
    op.create_index("decisions_by_event", "decisions", ["event_id"])


def _create_channel_states() -> None:
    op.create_table(
        "channel_states",
        sa.Column("channel_id", _uuid, sa.ForeignKey("channels.channel_id"), primary_key=True),
        sa.Column("tokens", sa.Double, nullable=False, server_default=sa.text("0")),
        sa.Column("tokens_time", _time),
        sa.Column("breaker", sa.SmallInteger, nullable=False, server_default=sa.text("1")),
        sa.Column("failure_count", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("since_time", _time),
        sa.Column("probe_time", _time),
        sa.Column("failing_since", _time),
        sa.Column("last_error", sa.Text, nullable=False, server_default=sa.text("''")),
        sa.Column("last_error_time", _time),
        sa.Column("last_success_time", _time),
        sa.Column("failure_raised", sa.Boolean, nullable=False, server_default=sa.text("false")),
        postgresql_with={"fillfactor": "50"},
    )


def _create_flaps() -> None:
    op.create_table(
        "flaps",
        sa.Column("host_id", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("dedup_key", sa.Text, primary_key=True),
        sa.Column("raise_times", sa.ARRAY(_time), nullable=False),
        sa.Column("subject_id", _uuid),
        sa.Column("until_time", _time, nullable=False),
    )
    op.create_index("flaps_by_end", "flaps", ["until_time"])


def _create_canary_runs() -> None:
    op.create_table(
        "canary_runs",
        sa.Column("run_id", _uuid, primary_key=True),
        sa.Column("alert_id", _uuid),
        sa.Column("start_time", _time, nullable=False),
        sa.Column("arrive_time", _time),
        sa.Column("heartbeat_time", _time),
        sa.Column("problem", sa.Text, nullable=False),
    )
    op.create_index("canary_runs_by_start", "canary_runs", [sa.text("start_time DESC")])
