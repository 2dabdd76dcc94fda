"""The routes as they are kept, in their order."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from tocsin.common.errors import FieldViolation, InvalidArgumentError
from tocsin.notify.store.acts import write_down
from tocsin.notify.store.route_checks import (
    only,
    place_for,
    require_all_named,
    require_free_name,
    require_version,
    unknown,
)
from tocsin.notify.store.route_rows import config_text, route_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from datetime import datetime
    from uuid import UUID

    import asyncpg

    from tocsin.common.clock import Clock
    from tocsin.common.identity.audit import Act
    from tocsin.common.postgres.engine import Database
    from tocsin.notify.domain.route import Route

# One writer at a time, so that the places have no gaps; readers are not kept out.
_LOCK = "LOCK TABLE routes IN SHARE ROW EXCLUSIVE MODE"

_READ = """
SELECT route_id, position, display_name, enabled, channel_ids, config::text AS config, version,
       create_time, update_time
  FROM routes ORDER BY position, route_id
"""

# The stamp has the form of that of `take_in_1`, and is of what is read with it.
_READ_STAMPED = """
SELECT route_id, position, display_name, enabled, channel_ids, config::text AS config, version,
       create_time, update_time,
       (SELECT string_agg(route_id::text || ' ' || xmin::text, ',' ORDER BY route_id)
          FROM routes) AS stamp
  FROM routes ORDER BY position, route_id
"""

_NAMING = "SELECT display_name FROM routes WHERE $1 = ANY(channel_ids) ORDER BY position"

# The lock keeps a channel from being deleted before the route that names it is there.
_CHANNELS = """
SELECT channel_id FROM channels WHERE channel_id = ANY($1::uuid[]) AND delete_time IS NULL
 ORDER BY channel_id FOR SHARE
"""

_MAKE_ROOM = "UPDATE routes SET position = position + 1 WHERE position >= $1"

_ADD = """
INSERT INTO routes (route_id, position, display_name, enabled, channel_ids, config, version,
                    create_time, update_time, next_proof_time)
VALUES ($1, $2, $3, $4, $5, $6, 1, $7, $7, $8)
"""

_CHANGE = """
UPDATE routes SET display_name = $2, enabled = $3, channel_ids = $4, config = $5, version = $6,
                  update_time = $7,
                  next_proof_time = CASE WHEN $8 THEN next_proof_time ELSE $9 END
 WHERE route_id = $1
"""

_DELETE = "DELETE FROM routes WHERE route_id = $1 RETURNING position"

_CLOSE_UP = "UPDATE routes SET position = position - 1 WHERE position > $1"

_REORDER = """
UPDATE routes SET position = given.position
  FROM unnest($1::uuid[]) WITH ORDINALITY AS given (route_id, position)
 WHERE routes.route_id = given.route_id
"""

# What waits because of a pause of the route (GROUP_WAIT, QUIET_HOURS) is decided anew.
_WAKE = """
UPDATE deliveries SET next_attempt_time = $2
 WHERE delivery_id IN (SELECT delivery_id FROM deliveries
                        WHERE state = 6 AND carried_by IS NULL AND reason IN (10, 11)
                          AND route_id = $1
                        ORDER BY delivery_id FOR UPDATE)
"""


async def read_all(connection: asyncpg.Connection) -> list[Route]:
    """Return all routes in their order, those that are not enabled too."""
    return [route_of(row) for row in await connection.fetch(_READ)]


async def read_stamped(connection: asyncpg.Connection) -> tuple[str, list[Route]]:
    """Return all routes in their order, and the stamp that names them as they are."""
    rows = await connection.fetch(_READ_STAMPED)
    return rows[0]["stamp"] if rows else "", [route_of(row) for row in rows]


async def naming(connection: asyncpg.Connection, channel_id: UUID) -> list[str]:
    """Return the names of the routes that name a channel.

    With the channel's row locked, none can be added until the end of the transaction.
    """
    return [row["display_name"] for row in await connection.fetch(_NAMING, channel_id)]


class RouteStore:
    """Keeps the routes.

    Every method raises UnavailableError when the database does not answer. `route` holds what a
    caller wants: its place, version and times are not looked at.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def list_all(self) -> list[Route]:
        """Return all routes in their order."""
        async with self._database.connection() as connection:
            return await read_all(connection)

    async def get(self, route_id: UUID) -> Route:
        """Return a route. Raises NotFoundError (ROUTE_NOT_FOUND)."""
        return only(await self.list_all(), route_id)

    async def create(
        self,
        route: Route,
        *,
        position: int = 0,
        next_proof_time: datetime | None = None,
        act: Act | None = None,
    ) -> Route:
        """Add a route at a place, 0 for the end.

        Raises AlreadyExistsError (ROUTE_NAME_TAKEN), InvalidArgumentError for a channel that does
        not exist, a place that there is not, and one route too many.
        """
        async with self._changing() as (connection, present):
            place = place_for(position, len(present))
            require_free_name(route, present)
            await _require_channels(connection, route)
            now = self._clock.now()
            await connection.execute(_MAKE_ROOM, place)
            await connection.execute(
                _ADD,
                route.route_id,
                place,
                route.display_name,
                route.enabled,
                route.channel_ids,
                config_text(route),
                now,
                next_proof_time,
            )
            name = route.display_name
            await write_down(connection, act, now, subject=route.route_id, name=name)
            return replace(route, position=place, version=1, create_time=now, update_time=now)

    async def update(
        self,
        route: Route,
        *,
        expected_version: int | None = None,
        next_proof_time: datetime | None = None,
        act: Act | None = None,
    ) -> Route:
        """Replace a route, apart from its place. What changes nothing grows no version.

        `next_proof_time` counts if the times of its proof change. Raises NotFoundError
        (ROUTE_NOT_FOUND), AbortedError (VERSION_MISMATCH), AlreadyExistsError (ROUTE_NAME_TAKEN),
        InvalidArgumentError for a channel that does not exist.
        """
        async with self._changing() as (connection, routes):
            present = only(routes, route.route_id)
            require_version(present, expected_version)
            require_free_name(route, routes)
            await _require_channels(connection, route)
            wanted = replace(
                route,
                position=present.position,
                version=present.version,
                create_time=present.create_time,
                update_time=present.update_time,
            )
            if wanted == present:
                return present
            now = self._clock.now()
            keeps = (wanted.proof, wanted.enabled) == (present.proof, present.enabled)
            await connection.execute(
                _CHANGE,
                wanted.route_id,
                wanted.display_name,
                wanted.enabled,
                wanted.channel_ids,
                config_text(wanted),
                present.version + 1,
                now,
                keeps,
                next_proof_time,
            )
            await connection.execute(_WAKE, wanted.route_id, now)
            name, version = wanted.display_name, present.version + 1
            told = {"name": name, "version": version, "enabled": str(wanted.enabled).lower()}
            await write_down(connection, act, now, subject=wanted.route_id, **told)
            return replace(wanted, version=present.version + 1, update_time=now)

    async def delete(self, route_id: UUID, *, act: Act | None = None) -> int:
        """Delete a route, and return how many are left. Raises NotFoundError (ROUTE_NOT_FOUND)."""
        async with self._changing() as (connection, present):
            place = await connection.fetchval(_DELETE, route_id)
            if place is None:
                raise unknown(route_id)
            await connection.execute(_CLOSE_UP, place)
            now = self._clock.now()
            await connection.execute(_WAKE, route_id, now)
            await write_down(connection, act, now, subject=route_id)
            return len(present) - 1

    async def reorder(self, route_ids: Sequence[UUID], *, act: Act | None = None) -> list[Route]:
        """Put all routes into that order. Raises AbortedError (ROUTES_CHANGED)."""
        async with self._changing() as (connection, present):
            require_all_named(route_ids, present)
            await connection.execute(_REORDER, list(route_ids))
            await write_down(
                connection, act, self._clock.now(), order=" ".join(map(str, route_ids))
            )
            return await read_all(connection)

    @asynccontextmanager
    async def _changing(self) -> AsyncIterator[tuple[asyncpg.Connection, list[Route]]]:
        """Lend a connection in a transaction that alone changes routes, with the present ones."""
        async with self._database.transaction() as connection:
            await connection.execute(_LOCK)
            yield connection, await read_all(connection)


async def _require_channels(connection: asyncpg.Connection, route: Route) -> None:
    found = {row["channel_id"] for row in await connection.fetch(_CHANNELS, route.channel_ids)}
    missing = [
        FieldViolation(f"route.channel_ids[{index}]", f"no channel has the id {channel_id}")
        for index, channel_id in enumerate(route.channel_ids)
        if channel_id not in found
    ]
    if missing:
        raise InvalidArgumentError.of(missing)
