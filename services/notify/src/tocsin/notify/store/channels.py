"""Channels as they are kept: configuration in the open, secrets sealed."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import ColumnElement, collate, insert, select, update
from sqlalchemy.exc import IntegrityError

from tocsin.common.errors import (
    AbortedError,
    AlreadyExistsError,
    FailedPreconditionError,
    NotFoundError,
)
from tocsin.common.ids import uuid7
from tocsin.common.postgres.failures import sqlstate_of
from tocsin.notify.domain.channel import Channel, ChannelConfig, RateLimit, Secrets, type_of
from tocsin.notify.store.acts import write_down
from tocsin.notify.store.channel_changes import dead_all_of_channel, release_all_of_channel
from tocsin.notify.store.channel_rows import (
    channel_of,
    columns_of,
    config_document,
    rate_limit_document,
)
from tocsin.notify.store.routes import naming
from tocsin.notify.store.tables import channels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from uuid import UUID

    import asyncpg
    from sqlalchemy import Row
    from sqlalchemy.ext.asyncio import AsyncConnection

    from tocsin.common.clock import Clock
    from tocsin.common.identity.audit import Act
    from tocsin.common.ids import NewId
    from tocsin.common.postgres.engine import Database
    from tocsin.notify.store.sealing import Sealing

    OpenSecrets = Callable[[], Secrets]
    Change = tuple[Channel, Secrets | None]

_UNIQUE_VIOLATION = "23505"
_NAMES = 5


class ChannelStore:
    """Keeps the channels. A deleted one is as if it were not there.

    Every method raises UnavailableError when the database does not answer.
    """

    def __init__(
        self, database: Database, sealing: Sealing, clock: Clock, *, new_id: NewId = uuid7
    ) -> None:
        self._database = database
        self._sealing = sealing
        self._clock = clock
        self._new_id = new_id

    async def create(
        self,
        display_name: str,
        config: ChannelConfig,
        secrets: Secrets,
        *,
        enabled: bool = True,
        rate_limit: RateLimit | None = None,
        act: Act | None = None,
    ) -> Channel:
        """Add a channel. Raises AlreadyExistsError (CHANNEL_NAME_TAKEN)."""
        channel_id, now = self._new_id(), self._clock.now()
        statement = (
            insert(channels)
            .values(
                channel_id=channel_id,
                display_name=display_name,
                type=type_of(config).value,
                config=config_document(config),
                sealed_secrets=self._sealing.seal(channel_id, secrets),
                enabled=enabled,
                disabled_reason="",
                version=1,
                create_time=now,
                update_time=now,
                rate_limit=rate_limit_document(rate_limit),
            )
            .returning(channels)
        )
        async with self._database.core() as connection:
            with _name_may_be_taken(display_name):
                channel = channel_of((await connection.execute(statement)).one())
            await write_down(connection, act, now, subject=channel_id, name=display_name)
            return channel

    async def get(self, channel_id: UUID) -> Channel:
        """Return a channel. Raises NotFoundError (CHANNEL_NOT_FOUND)."""
        async with self._database.core() as connection:
            return channel_of(await _row(connection, channel_id))

    async def list_page(self, *, after: str | None = None, limit: int) -> list[Channel]:
        """Return at most `limit` channels by name, those that come after the name `after`."""
        by_name = collate(channels.c.display_name, "C")
        query = select(channels).where(_is_there()).order_by(by_name).limit(limit)
        if after is not None:
            query = query.where(by_name > after)
        async with self._database.core() as connection:
            return [channel_of(row) for row in await connection.execute(query)]

    async def list_enabled(self) -> list[Channel]:
        """Return the channels that events are sent to, the oldest first."""
        query = (
            select(channels)
            .where(_is_there(), channels.c.enabled)
            .order_by(channels.c.create_time, channels.c.channel_id)
        )
        async with self._database.core() as connection:
            return [channel_of(row) for row in await connection.execute(query)]

    async def get_opened(self, channel_id: UUID) -> tuple[Channel, Secrets]:
        """Return a channel with its secrets, both as of one moment.

        Read apart, a new password could go to the former server. Raises NotFoundError
        (CHANNEL_NOT_FOUND), SecretsUnreadableError.
        """
        async with self._database.core() as connection:
            row = await _row(connection, channel_id)
        return channel_of(row), self._sealing.open(channel_id, row.sealed_secrets)

    async def update(
        self,
        channel_id: UUID,
        decide: Callable[[Channel, OpenSecrets], Change],
        *,
        expected_version: int | None = None,
        act: Act | None = None,
    ) -> Channel:
        """Change a channel to what `decide` makes of it, under a lock on its row.

        `decide` gets the channel and a function that opens its secrets (SecretsUnreadableError),
        and returns the channel as it shall be, with secrets or with None to leave them as they
        are. What changes nothing grows no version. Raises NotFoundError (CHANNEL_NOT_FOUND),
        AbortedError (VERSION_MISMATCH), AlreadyExistsError (CHANNEL_NAME_TAKEN), and what `decide`
        raises.
        """
        async with self._database.core() as connection:
            row = await _row(connection, channel_id, lock=True)
            present = channel_of(row)
            _require_version(present, expected_version)
            wanted, secrets = decide(
                present, lambda: self._sealing.open(channel_id, row.sealed_secrets)
            )
            if wanted == present and secrets is None:
                return present
            now = self._clock.now()
            columns = columns_of(replace(wanted, version=present.version + 1, update_time=now))
            if secrets is not None:
                columns["sealed_secrets"] = self._sealing.seal(channel_id, secrets)
            with _name_may_be_taken(wanted.display_name):
                channel = await _write(connection, channel_id, columns)
            await release_all_of_channel(connection, channel_id, now=now)
            await write_down(
                connection,
                act,
                now,
                subject=channel_id,
                name=channel.display_name,
                enabled=str(channel.enabled).lower(),
                version=channel.version,
            )
            return channel

    async def disable(self, channel_id: UUID, reason: str, *, version: int) -> bool:
        """Disable a channel because its far side asked for it, and return whether it was done.

        Only as long as it has the version that the far side answered to: what was changed since
        may lead elsewhere.
        """
        statement = (
            update(channels)
            .where(
                channels.c.channel_id == channel_id,
                channels.c.version == version,
                channels.c.enabled,
                _is_there(),
            )
            .values(
                enabled=False,
                disabled_reason=reason,
                version=channels.c.version + 1,
                update_time=self._clock.now(),
            )
        )
        async with self._database.core() as connection:
            return bool((await connection.execute(statement)).rowcount)

    async def note_trial(self, channel_id: UUID, act: Act | None) -> None:
        """Write down that somebody is about to try a channel.

        Raises NotFoundError (CHANNEL_NOT_FOUND).
        """
        async with self._database.core() as connection:
            row = await _row(connection, channel_id)
            now = self._clock.now()
            await write_down(connection, act, now, subject=channel_id, name=row.display_name)

    async def delete(self, channel_id: UUID, *, act: Act | None = None) -> int:
        """Delete a channel and wipe its secrets; what it has not delivered ends as DEAD.

        Returns how many deliveries that were. Raises NotFoundError (CHANNEL_NOT_FOUND),
        FailedPreconditionError (CHANNEL_IN_USE): a route that names no channel would tell nobody.
        """
        now = self._clock.now()
        async with self._database.core() as connection:
            row = await _row(connection, channel_id, lock=True)
            await _require_unused(connection, channel_id)
            columns = {
                "enabled": False,
                "sealed_secrets": None,
                "version": row.version + 1,
                "update_time": now,
                "delete_time": now,
            }
            await _write(connection, channel_id, columns)
            await write_down(connection, act, now, subject=channel_id, name=row.display_name)
            return await dead_all_of_channel(connection, channel_id, now=now)


def _is_there() -> ColumnElement[bool]:
    return channels.c.delete_time.is_(None)


async def _row(connection: AsyncConnection, channel_id: UUID, *, lock: bool = False) -> Row[Any]:
    query = select(channels).where(channels.c.channel_id == channel_id, _is_there())
    if lock:  # not against foreign keys that refer to it
        query = query.with_for_update(key_share=True)
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise NotFoundError(f"No channel {channel_id}.", reason="CHANNEL_NOT_FOUND")
    return row


async def _require_unused(connection: AsyncConnection, channel_id: UUID) -> None:
    driver = (await connection.get_raw_connection()).driver_connection
    names = await naming(cast("asyncpg.Connection", driver), channel_id)
    if names:
        told = ", ".join(repr(name) for name in names[:_NAMES])
        more = f" and {len(names) - _NAMES:,} more" if len(names) > _NAMES else ""
        raise FailedPreconditionError(
            f"Routes name the channel: {told}{more}. Change or delete them first.",
            reason="CHANNEL_IN_USE",
        )


async def _write(connection: AsyncConnection, channel_id: UUID, columns: dict[str, Any]) -> Channel:
    statement = update(channels).where(channels.c.channel_id == channel_id).values(columns)
    return channel_of((await connection.execute(statement.returning(channels))).one())


def _require_version(present: Channel, expected: int | None) -> None:
    if expected is not None and expected != present.version:
        raise AbortedError(
            f"The channel has version {present.version} by now, not {expected}. Read it again.",
            reason="VERSION_MISMATCH",
        )


@contextmanager
def _name_may_be_taken(display_name: str) -> Iterator[None]:
    try:
        yield
    except IntegrityError as error:
        if sqlstate_of(error) != _UNIQUE_VIOLATION:
            raise
        raise AlreadyExistsError(
            f"Another channel has the display_name {display_name!r}. Choose another one.",
            reason="CHANNEL_NAME_TAKEN",
        ) from error
