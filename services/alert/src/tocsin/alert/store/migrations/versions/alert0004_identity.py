"""Credentials, and the audit trail of what people change."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "alert0004"
down_revision = "alert0003"
branch_labels = None
depends_on = None
phase = "before"

_time = postgresql.TIMESTAMP(timezone=True)
_uuid = postgresql.UUID(as_uuid=True)


def upgrade() -> None:
    _create_credentials()
    op.create_table(
        "credential_version",
        sa.Column("only_row", sa.SmallInteger, primary_key=True, server_default=sa.text("1")),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.CheckConstraint("only_row = 1", name="credential_version_is_one_row"),
    )
    op.execute("INSERT INTO credential_version (version) VALUES (1)")
    op.create_table(
        "audit_entries",
        sa.Column("entry_id", _uuid, primary_key=True),
        sa.Column("record_time", _time, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("on_behalf_of", sa.Text, nullable=False),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("details", postgresql.JSONB, nullable=False),
    )
    op.create_index("audit_entries_by_time", "audit_entries", ["record_time"])


def downgrade() -> None:
    for table in ("audit_entries", "credential_version", "credentials"):
        op.drop_table(table)


def _create_credentials() -> None:
    op.create_table(
        "credentials",
        sa.Column("credential_id", _uuid, primary_key=True),
        sa.Column("kind", sa.SmallInteger, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("digest", sa.LargeBinary, unique=True),
        sa.Column("roles", postgresql.ARRAY(sa.Text), nullable=False),
        sa.Column("host_ids", postgresql.ARRAY(sa.Text), nullable=False),
        sa.Column("create_time", _time, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("expire_time", _time),
        sa.Column("revoke_time", _time),
        sa.Column("revoked_by", sa.Text, nullable=False, server_default=sa.text("''")),
        sa.Column("last_used_time", _time),
        sa.CheckConstraint(
            "(kind = 1) = (digest IS NOT NULL)", name="credentials_digest_of_tokens"
        ),
    )
    op.create_index(
        "credentials_one_grant_per_certificate",
        "credentials",
        ["name"],
        unique=True,
        postgresql_where=sa.text("kind = 2 AND revoke_time IS NULL"),
    )
