"""Hosts, source groups, schedules and jobs, and what alerts say of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "alert0002"
down_revision = "alert0001"
branch_labels = None
depends_on = None

_time = postgresql.TIMESTAMP(timezone=True)
_uuid = postgresql.UUID(as_uuid=True)
_interval = postgresql.INTERVAL()
_roomy = {"fillfactor": "80"}

_ALERT_COLUMNS = (
    "host_labels",
    "source_group_id",
    "repository_id",
    "schedule_id",
    "suppressed_by",
    "objective_multiple",
)


def upgrade() -> None:
    _extend_hosts()
    _create_host_signs()
    _create_source_groups()
    _create_schedules()
    _create_jobs()
    _create_job_streams()
    _extend_alerts()


def downgrade() -> None:
    op.drop_index("alerts_open_by_root", "alerts")
    op.drop_index("alerts_open_by_repository", "alerts")
    for column in _ALERT_COLUMNS:
        op.drop_column("alerts", column)
    for table in ("job_streams", "jobs", "schedules", "source_groups", "host_signs"):
        op.drop_table(table)
    for column in ("profile", "offline_after", "retire_time"):
        op.drop_column("hosts", column)


def _extend_hosts() -> None:
    op.add_column(
        "hosts",
        sa.Column("profile", sa.SmallInteger, nullable=False, server_default=sa.text("1")),
    )
    op.add_column("hosts", sa.Column("offline_after", _interval))
    op.add_column("hosts", sa.Column("retire_time", _time))


def _create_host_signs() -> None:
    op.create_table(
        "host_signs",
        sa.Column("host_id", sa.Text, primary_key=True),
        sa.Column("last_heard_time", _time),
        sa.Column("first_heartbeat_time", _time),
        sa.Column("skew", _interval),
        sa.Column("look_time", _time),
        postgresql_with=_roomy,
    )
    op.create_index(
        "host_signs_by_look",
        "host_signs",
        ["look_time"],
        postgresql_where=sa.text("look_time IS NOT NULL"),
    )


def _create_source_groups() -> None:
    op.create_table(
        "source_groups",
        sa.Column("source_group_id", sa.Text, primary_key=True),
        sa.Column("host_id", sa.Text, nullable=False),
        sa.Column("repository_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("objective", _interval),
        sa.Column("create_time", _time, nullable=False),
        sa.Column("update_time", _time, nullable=False),
        sa.Column("retire_time", _time),
        sa.Column("rise_look_time", _time),
        postgresql_with=_roomy,
    )
    op.create_index("source_groups_by_host", "source_groups", ["host_id", "source_group_id"])
    op.create_index(
        "source_groups_by_rise_look",
        "source_groups",
        ["rise_look_time"],
        postgresql_where=sa.text("rise_look_time IS NOT NULL"),
    )


def _create_schedules() -> None:
    op.create_table(
        "schedules",
        sa.Column("schedule_id", sa.Text, primary_key=True),
        sa.Column("host_id", sa.Text, nullable=False),
        sa.Column("job_kind", sa.SmallInteger, nullable=False),
        sa.Column("source_group_id", sa.Text, nullable=False),
        sa.Column("repository_id", sa.Text, nullable=False),
        sa.Column("cron", sa.Text),
        sa.Column("on_calendar", sa.Text),
        sa.Column("run_interval", _interval),
        sa.Column("time_zone", sa.Text, nullable=False),
        sa.Column("grace", _interval, nullable=False),
        sa.Column("max_duration", _interval, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("create_time", _time, nullable=False),
        sa.Column("update_time", _time, nullable=False),
        sa.Column("retire_time", _time),
        sa.Column("anchor_time", _time, nullable=False),
        sa.Column("last_finish_time", _time),
        sa.Column("unfinished_start_time", _time),
        sa.Column("due_time", _time),
        sa.Column("deadline_time", _time),
        sa.Column("look_time", _time),
        sa.CheckConstraint(
            "num_nonnulls(cron, on_calendar, run_interval) = 1", name="schedules_one_rule"
        ),
        postgresql_with=_roomy,
    )
    op.create_index("schedules_by_host", "schedules", ["host_id", "schedule_id"])
    op.create_index(
        "schedules_by_source_group",
        "schedules",
        ["source_group_id"],
        postgresql_where=sa.text("source_group_id <> ''"),
    )
    op.create_index(
        "schedules_by_look",
        "schedules",
        ["look_time"],
        postgresql_where=sa.text("look_time IS NOT NULL"),
    )


def _create_jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("job_id", sa.Text, primary_key=True),
        sa.Column("host_id", sa.Text, nullable=False),
        sa.Column("job_kind", sa.SmallInteger, nullable=False),
        sa.Column("source_group_id", sa.Text, nullable=False),
        sa.Column("repository_id", sa.Text, nullable=False),
        sa.Column("schedule_id", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.LargeBinary),
        sa.Column("start_time", _time),
        sa.Column("finish_time", _time),
        sa.Column("result", sa.SmallInteger),
        sa.Column("cause", sa.Text, nullable=False),
        sa.Column("exit_code", sa.Integer),
        sa.Column("summary", postgresql.JSONB),
        sa.Column("receive_time", _time, nullable=False),
    )
    op.create_index(
        "jobs_by_schedule",
        "jobs",
        ["schedule_id", "finish_time", "start_time"],
        postgresql_where=sa.text("schedule_id <> ''"),
    )
    op.create_index("jobs_by_age", "jobs", ["receive_time"])


def _create_job_streams() -> None:
    op.create_table(
        "job_streams",
        sa.Column("host_id", sa.Text, primary_key=True),
        sa.Column("job_kind", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("of_id", sa.Text, primary_key=True),
        sa.Column("success_time", _time),
        sa.Column("success_job_id", sa.Text),
        sa.Column("incomplete_time", _time),
        sa.Column("incomplete_job_id", sa.Text),
        sa.Column("incomplete_cause", sa.Text),
        sa.Column("incomplete_message", sa.Text),
        sa.Column("failure_time", _time),
        sa.Column("failure_job_id", sa.Text),
        sa.Column("failure_cause", sa.Text),
        sa.Column("failure_message", sa.Text),
        postgresql_with=_roomy,
    )


def _extend_alerts() -> None:
    """Add columns with constant defaults: PostgreSQL rewrites no row for them."""
    empty = sa.text("''")
    op.add_column(
        "alerts",
        sa.Column(
            "host_labels", postgresql.JSONB, nullable=False, server_default=sa.text("'{}'::jsonb")
        ),
    )
    for name in ("source_group_id", "repository_id", "schedule_id"):
        op.add_column("alerts", sa.Column(name, sa.Text, nullable=False, server_default=empty))
    op.add_column("alerts", sa.Column("suppressed_by", _uuid))
    op.add_column(
        "alerts",
        sa.Column(
            "objective_multiple", sa.SmallInteger, nullable=False, server_default=sa.text("0")
        ),
    )
    op.create_index(
        "alerts_open_by_repository",
        "alerts",
        ["repository_id", "raise_time", "alert_id"],
        postgresql_where=sa.text(
            "resolve_time IS NULL AND suppressed_by IS NULL AND repository_id <> ''"
            " AND cause IN ('locked', 'network', 'no_repository')"
        ),
    )
    op.create_index(
        "alerts_open_by_root",
        "alerts",
        ["suppressed_by"],
        postgresql_where=sa.text("resolve_time IS NULL AND suppressed_by IS NOT NULL"),
    )
