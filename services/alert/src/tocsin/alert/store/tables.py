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
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import INTERVAL, JSONB, TIMESTAMP, UUID

from tocsin.common.identity.tables import add_identity_tables

metadata = MetaData()
add_identity_tables(metadata)
_time = TIMESTAMP(timezone=True)

hosts = Table(
    "hosts",
    metadata,
    Column("host_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("labels", JSONB, nullable=False),
    Column("create_time", _time, nullable=False),
    Column("update_time", _time, nullable=False),
    Column("profile", SmallInteger, nullable=False, server_default=text("1")),
    Column("offline_after", INTERVAL),
    Column("retire_time", _time),
)

# The signs of life of every host that was heard of or put. A heartbeat rewrites no indexed
# column: `look_time` is when a sweep looks next, never later than when the host counts as
# offline, and only the sweep moves it on.
host_signs = Table(
    "host_signs",
    metadata,
    Column("host_id", Text, primary_key=True),
    Column("last_heard_time", _time),
    Column("first_heartbeat_time", _time),
    Column("skew", INTERVAL),
    # NULL: nothing to look for.
    Column("look_time", _time),
    Index("host_signs_by_look", "look_time", postgresql_where=text("look_time IS NOT NULL")),
    postgresql_with={"fillfactor": "80"},
)

source_groups = Table(
    "source_groups",
    metadata,
    Column("source_group_id", Text, primary_key=True),
    Column("host_id", Text, nullable=False),
    Column("repository_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("objective", INTERVAL),
    Column("create_time", _time, nullable=False),
    Column("update_time", _time, nullable=False),
    Column("retire_time", _time),
    # When a sweep looks whether its alerts rise. NULL: none of them stands.
    Column("rise_look_time", _time),
    Index("source_groups_by_host", "host_id", "source_group_id"),
    Index(
        "source_groups_by_rise_look",
        "rise_look_time",
        postgresql_where=text("rise_look_time IS NOT NULL"),
    ),
    postgresql_with={"fillfactor": "80"},
)

schedules = Table(
    "schedules",
    metadata,
    Column("schedule_id", Text, primary_key=True),
    Column("host_id", Text, nullable=False),
    Column("job_kind", SmallInteger, nullable=False),
    Column("source_group_id", Text, nullable=False),
    Column("repository_id", Text, nullable=False),
    # One of the three.
    Column("cron", Text),
    Column("on_calendar", Text),
    Column("run_interval", INTERVAL),
    Column("time_zone", Text, nullable=False),
    Column("grace", INTERVAL, nullable=False),
    Column("max_duration", INTERVAL, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("create_time", _time, nullable=False),
    Column("update_time", _time, nullable=False),
    Column("retire_time", _time),
    # What is known of its runs, in the world: see domain.schedule.Runs.
    Column("anchor_time", _time, nullable=False),
    Column("last_finish_time", _time),
    Column("unfinished_start_time", _time),
    Column("due_time", _time),
    Column("deadline_time", _time),
    # When a sweep looks next: never later than the deadline, and moved on by the sweep alone, so
    # that a report rewrites no indexed column. NULL: nothing to look for.
    Column("look_time", _time),
    CheckConstraint("num_nonnulls(cron, on_calendar, run_interval) = 1", name="schedules_one_rule"),
    Index("schedules_by_host", "host_id", "schedule_id"),
    Index(
        "schedules_by_source_group",
        "source_group_id",
        postgresql_where=text("source_group_id <> ''"),
    ),
    Index("schedules_by_look", "look_time", postgresql_where=text("look_time IS NOT NULL")),
    postgresql_with={"fillfactor": "80"},
)

# Every job that was reported, for as long as its id is remembered.
jobs = Table(
    "jobs",
    metadata,
    Column("job_id", Text, primary_key=True),
    Column("host_id", Text, nullable=False),
    Column("job_kind", SmallInteger, nullable=False),
    Column("source_group_id", Text, nullable=False),
    Column("repository_id", Text, nullable=False),
    Column("schedule_id", Text, nullable=False),
    # A digest of what its end said, times apart. NULL: it has not ended.
    Column("fingerprint", LargeBinary),
    Column("start_time", _time),
    Column("finish_time", _time),
    # As judged.
    Column("result", SmallInteger),
    Column("cause", Text, nullable=False),
    Column("exit_code", Integer),
    Column("summary", JSONB),
    # By the server's clock: the last report of it.
    Column("receive_time", _time, nullable=False),
    # The runs that have not ended come last, in the order of their start.
    Index(
        "jobs_by_schedule",
        "schedule_id",
        "finish_time",
        "start_time",
        postgresql_where=text("schedule_id <> ''"),
    ),
    Index("jobs_by_age", "receive_time"),
)

# What is remembered of each stream of jobs: the latest end of each sort. Every column only grows
# with (time, job_id), so reports may come in any order.
job_streams = Table(
    "job_streams",
    metadata,
    Column("host_id", Text, primary_key=True),
    Column("job_kind", SmallInteger, primary_key=True, autoincrement=False),
    # The source group of backups, else the repository.
    Column("of_id", Text, primary_key=True),
    Column("success_time", _time),
    Column("success_job_id", Text),
    Column("incomplete_time", _time),
    Column("incomplete_job_id", Text),
    Column("incomplete_cause", Text),
    Column("incomplete_message", Text),
    Column("failure_time", _time),
    Column("failure_job_id", Text),
    Column("failure_cause", Text),
    Column("failure_message", Text),
    postgresql_with={"fillfactor": "80"},
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
    Column("host_labels", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("source_group_id", Text, nullable=False, server_default=text("''")),
    Column("repository_id", Text, nullable=False, server_default=text("''")),
    Column("schedule_id", Text, nullable=False, server_default=text("''")),
    Column("suppressed_by", UUID(as_uuid=True)),
    Column("objective_multiple", SmallInteger, nullable=False, server_default=text("0")),
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
    # Those that may explain others: see store/roots.py.
    Index(
        "alerts_open_by_repository",
        "repository_id",
        "raise_time",
        "alert_id",
        postgresql_where=text(
            "resolve_time IS NULL AND suppressed_by IS NULL AND repository_id <> ''"
            " AND cause IN ('locked', 'network', 'no_repository')"
        ),
    ),
    Index(
        "alerts_open_by_root",
        "suppressed_by",
        postgresql_where=text("resolve_time IS NULL AND suppressed_by IS NOT NULL"),
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
