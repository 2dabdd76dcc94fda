"""The registry of hosts, as its RPCs use it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.alert.store.hosts import get_host, list_hosts, put_host
from tocsin.common.errors import NotFoundError
from tocsin.common.postgres.patience import answered_in_time
from tocsin.common.rpc.validate import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tocsin.alert.domain.host import Host
    from tocsin.common.clock import Clock
    from tocsin.common.postgres.engine import Database


class Registry:
    """Keeps the hosts.

    Raises UnavailableError when the database does not answer in time.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def put(self, host_id: str, name: str, labels: Mapping[str, str]) -> Host:
        """Write a host whole and return it."""
        return await answered_in_time(self._put(host_id, name, labels))

    async def get(self, host_id: str) -> Host:
        """Return a host. Raises NotFoundError (HOST_NOT_FOUND)."""
        host = await answered_in_time(self._get(host_id))
        if host is None:
            raise NotFoundError(f"There is no host {shown(host_id)}.", reason="HOST_NOT_FOUND")
        return host

    async def page(self, after: str, size: int) -> tuple[list[Host], bool]:
        """Return hosts in the order of their ids, and whether more follow."""
        hosts = await answered_in_time(self._list(after, size + 1))
        return hosts[:size], len(hosts) > size

    async def _put(self, host_id: str, name: str, labels: Mapping[str, str]) -> Host:
        async with self._database.transaction() as connection:
            return await put_host(connection, host_id, name, labels, self._clock.now())

    async def _get(self, host_id: str) -> Host | None:
        async with self._database.connection() as connection:
            return await get_host(connection, host_id)

    async def _list(self, after: str, limit: int) -> list[Host]:
        async with self._database.connection() as connection:
            return await list_hosts(connection, after, limit)
