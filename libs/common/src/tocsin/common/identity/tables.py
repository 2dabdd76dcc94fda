"""The tables of credentials and of the audit trail, the same in each service's database."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
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
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIMESTAMP, UUID

_time = TIMESTAMP(timezone=True)


def add_identity_tables(metadata: MetaData) -> None:
    """Add the tables to those of a service."""
    _add_credentials(metadata)
    # One row, whose number grows with each change of the credentials: what is polled.
    Table(
        "credential_version",
        metadata,
        Column("only_row", SmallInteger, primary_key=True, server_default=text("1")),
        Column("version", BigInteger, nullable=False),
        CheckConstraint("only_row = 1", name="credential_version_is_one_row"),
    )
    Table(
        "audit_entries",
        metadata,
        Column("entry_id", UUID(as_uuid=True), primary_key=True),
        Column("record_time", _time, nullable=False),
        Column("actor", Text, nullable=False),
        Column("on_behalf_of", Text, nullable=False),
        Column("method", Text, nullable=False),
        Column("subject", Text, nullable=False),
        Column("details", JSONB, nullable=False),
        Index("audit_entries_by_time", "record_time"),
    )


def _add_credentials(metadata: MetaData) -> None:
    Table(
        "credentials",
        metadata,
        Column("credential_id", UUID(as_uuid=True), primary_key=True),
        # 1 TOKEN, 2 CERTIFICATE
        Column("kind", SmallInteger, nullable=False),
        Column("name", Text, nullable=False),
        # SHA-256 of a token. NULL for certificates.
        Column("digest", LargeBinary, unique=True),
        Column("roles", ARRAY(Text), nullable=False),
        Column("host_ids", ARRAY(Text), nullable=False),
        Column("create_time", _time, nullable=False),
        Column("created_by", Text, nullable=False),
        Column("expire_time", _time),
        Column("revoke_time", _time),
        Column("revoked_by", Text, nullable=False, server_default=text("''")),
        Column("last_used_time", _time),
        CheckConstraint("(kind = 1) = (digest IS NOT NULL)", name="credentials_digest_of_tokens"),
        Index(
            "credentials_one_grant_per_certificate",
            "name",
            unique=True,
            postgresql_where=text("kind = 2 AND revoke_time IS NULL"),
        ),
    )
