"""What is watched and how safe it is, as it is read for a caller."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeVar

from tocsin.alert.engine.protections import protection_of
from tocsin.alert.store.hosts import get_host, list_hosts
from tocsin.alert.store.protections import read_protections
from tocsin.alert.store.schedules import get_schedule, list_schedules
from tocsin.alert.store.source_groups import get_source_group, list_source_groups
from tocsin.common.errors import NotFoundError
from tocsin.common.postgres.patience import answered_in_time
from tocsin.common.rpc.validate import shown

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import asyncpg

    from tocsin.alert.domain.host import Host
    from tocsin.alert.domain.protection import Protection
    from tocsin.alert.domain.schedule import Schedule
    from tocsin.alert.domain.source_group import SourceGroup
    from tocsin.alert.rpc.registry_lists import RegistryQuery
    from tocsin.alert.store.protections import ProtectionFacts
    from tocsin.common.clock import Clock
    from tocsin.common.postgres.engine import Database

_T = TypeVar("_T")


class Registry:
    """Reads hosts, source groups and schedules, retired ones too, and protection.

    Raises UnavailableError when the database does not answer in time. A page comes with whether
    more follow.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def host(self, host_id: str) -> Host:
        """Return a host. Raises NotFoundError (HOST_NOT_FOUND)."""
        host = await self._ask(lambda connection: get_host(connection, host_id))
        return _found(host, "host", host_id)

    async def source_group(self, source_group_id: str) -> SourceGroup:
        """Return a source group. Raises NotFoundError (SOURCE_GROUP_NOT_FOUND)."""
        group = await self._ask(lambda connection: get_source_group(connection, source_group_id))
        return _found(group, "source group", source_group_id)

    async def schedule(self, schedule_id: str) -> Schedule:
        """Return a schedule. Raises NotFoundError (SCHEDULE_NOT_FOUND)."""
        schedule = await self._ask(lambda connection: get_schedule(connection, schedule_id))
        return _found(schedule, "schedule", schedule_id)

    async def hosts(self, query: RegistryQuery) -> tuple[list[Host], bool]:
        """Return a page of hosts."""
        listed = partial(list_hosts, include_retired=query.include_retired)
        return await self._page(query, listed)

    async def source_groups(self, query: RegistryQuery) -> tuple[list[SourceGroup], bool]:
        """Return a page of source groups."""
        listed = partial(
            list_source_groups, host_id=query.host_id, include_retired=query.include_retired
        )
        return await self._page(query, listed)

    async def schedules(self, query: RegistryQuery) -> tuple[list[Schedule], bool]:
        """Return a page of schedules."""
        listed = partial(
            list_schedules, host_id=query.host_id, include_retired=query.include_retired
        )
        return await self._page(query, listed)

    async def protections(self, query: RegistryQuery) -> tuple[list[Protection], bool]:
        """Return how safe a page of source groups is now: the truth of one moment."""
        facts, more = await answered_in_time(self._protections(query))
        now = self._clock.now()
        return [protection_of(*each, now) for each in facts], more

    async def _protections(self, query: RegistryQuery) -> tuple[list[ProtectionFacts], bool]:
        async with (
            self._database.connection() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            facts = await read_protections(
                connection, query.after, query.size + 1, host_id=query.host_id
            )
        return facts[: query.size], len(facts) > query.size

    async def _page(
        self,
        query: RegistryQuery,
        listed: Callable[[asyncpg.Connection, str, int], Awaitable[list[_T]]],
    ) -> tuple[list[_T], bool]:
        things = await self._ask(lambda connection: listed(connection, query.after, query.size + 1))
        return things[: query.size], len(things) > query.size

    async def _ask(self, ask: Callable[[asyncpg.Connection], Awaitable[_T]]) -> _T:
        return await answered_in_time(self._asked(ask))

    async def _asked(self, ask: Callable[[asyncpg.Connection], Awaitable[_T]]) -> _T:
        async with self._database.connection() as connection:
            return await ask(connection)


def _found(thing: _T | None, sort: str, thing_id: str) -> _T:
    if thing is None:
        reason = f"{sort.upper().replace(' ', '_')}_NOT_FOUND"
        raise NotFoundError(f"There is no {sort} {shown(thing_id)!r}.", reason=reason)
    return thing
