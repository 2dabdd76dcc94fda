"""The epoch: which log this is, and how a log that was restored is told from the former one.

The row in `log_identity` says where the log was last known to live. What lives elsewhere is a
copy of it that may go on otherwise, so its epoch is void. The place is made of

* the cluster's system identifier, which initdb gives and every physical copy keeps,
* the OIDs of the database and of the table itself, which every restore of a dump makes anew,
* the timeline, which grows with every promotion and point-in-time recovery.

A copy of files that is started on its old timeline shows none of it: `renew` is for its operator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.common.errors import UnavailableError
from tocsin.common.postgres.failures import unavailable

if TYPE_CHECKING:
    from uuid import UUID

    import asyncpg

    from tocsin.common.ids import NewId
    from tocsin.common.postgres.engine import Database

_IDENTITY_LOCK = 0x746F6373696E0002

_SYSTEM = """
    (SELECT system_identifier FROM pg_control_system())
    || '/' || (SELECT oid FROM pg_database WHERE datname = current_database())
    || '/' || 'log_identity'::regclass::oid
"""
# The first eight digits of a WAL file's name are its timeline. A standby writes no WAL.
_TIMELINE = """
    CASE WHEN pg_is_in_recovery() THEN NULL
         ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint END
"""

# The epoch if the log still lives where it was last known to live, else no row. A part of every
# statement that reads the log, so that no reader can take a restored log for the former one.
LIVE_EPOCH = f"""
    SELECT epoch FROM log_identity
    WHERE system_identifier = {_SYSTEM} AND timeline = {_TIMELINE}
"""  # noqa: S608 -- constants

_LOCK = "SELECT pg_advisory_xact_lock($1)"

_ADOPT = f"""
INSERT INTO log_identity (epoch, system_identifier, timeline) VALUES ($1, {_SYSTEM}, {_TIMELINE})
ON CONFLICT (singleton) DO UPDATE SET epoch = excluded.epoch,
    system_identifier = excluded.system_identifier, timeline = excluded.timeline
"""  # noqa: S608 -- constants


class UnsettledLogError(UnavailableError):
    """The log has moved or was never opened: `settle` must name its epoch first."""

    def __init__(self) -> None:
        super().__init__("The event log was moved or restored and is being opened. Try again.")


def epoch_or_refuse(epoch: UUID | None) -> UUID:
    """Return the epoch that a statement has read, or raise UnsettledLogError."""
    if epoch is None:
        raise UnsettledLogError
    return epoch


async def settle(database: Database, new_id: NewId) -> UUID:
    """Return the epoch of the log, a new one if the log has moved or was never opened.

    Call it at start and after every UnsettledLogError. Several servers that do so at once agree.
    Raises UnavailableError on a standby, which cannot be written.
    """
    async with database.transaction() as connection:
        await connection.execute(_LOCK, _IDENTITY_LOCK)
        epoch: UUID | None = await connection.fetchval(LIVE_EPOCH)
        return epoch or await _adopt(connection, new_id())


async def renew(database: Database, new_id: NewId, instead_of: UUID | None = None) -> UUID:
    """Give the log a new epoch, so that every reader takes a snapshot, and return it.

    For a restore that leaves no trace (see above). With `instead_of`, only while that is still
    the epoch: otherwise the present one is returned.
    """
    async with database.transaction() as connection:
        await connection.execute(_LOCK, _IDENTITY_LOCK)
        epoch: UUID | None = await connection.fetchval(LIVE_EPOCH)
        if epoch is not None and instead_of is not None and epoch != instead_of:
            return epoch
        return await _adopt(connection, new_id())


async def _adopt(connection: asyncpg.Connection, epoch: UUID) -> UUID:
    if await connection.fetchval("SELECT pg_is_in_recovery()"):
        raise unavailable()
    await connection.execute(_ADOPT, epoch)
    return epoch
