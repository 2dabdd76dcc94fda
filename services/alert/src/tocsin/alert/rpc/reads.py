"""What is read for a caller: each answer from one snapshot of the database."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tocsin.alert.eventlog import log
from tocsin.alert.store.alerts import keys_of, read_alerts
from tocsin.alert.store.listing import list_alerts
from tocsin.common.errors import NotFoundError
from tocsin.common.postgres.patience import answered_in_time

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from uuid import UUID

    import asyncpg

    from tocsin.alert.domain.alert import Alert
    from tocsin.alert.domain.event import Position
    from tocsin.alert.rpc.lists import AlertsQuery, TimelineQuery
    from tocsin.common.postgres.engine import Database


@dataclass(frozen=True, slots=True)
class AlertsPage:
    """Some alerts, whether more follow, and the end of the log at that moment."""

    alerts: list[Alert]
    more: bool
    position: Position


@dataclass(frozen=True, slots=True)
class TimelinePage:
    """Some entries of a timeline, and whether more follow."""

    entries: list[log.Record]
    more: bool
    epoch: UUID


class Reads:
    """Reads alerts and their timelines.

    Raises UnavailableError when the database does not answer in time.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def alert(self, alert_id: UUID) -> Alert:
        """Return an alert. Raises NotFoundError (ALERT_NOT_FOUND)."""
        alert = await answered_in_time(self._alert(alert_id))
        if alert is None:
            raise _no_such_alert(alert_id)
        return alert

    async def alerts(self, query: AlertsQuery) -> AlertsPage:
        """Return a page of alerts."""
        return await answered_in_time(self._alerts(query))

    async def timeline(self, query: TimelineQuery) -> TimelinePage:
        """Return a page of an alert's events. Raises NotFoundError (ALERT_NOT_FOUND)."""
        return await answered_in_time(self._timeline(query))

    async def _alert(self, alert_id: UUID) -> Alert | None:
        async with self._database.connection() as connection:
            return (await read_alerts(connection, [alert_id])).get(alert_id)

    async def _alerts(self, query: AlertsQuery) -> AlertsPage:
        async with self._snapshot() as connection:
            position = await log.head(connection)
            alerts = await list_alerts(connection, query.wanted, query.after, query.size + 1)
        return AlertsPage(alerts[: query.size], len(alerts) > query.size, position)

    async def _timeline(self, query: TimelineQuery) -> TimelinePage:
        async with self._snapshot() as connection:
            if not await keys_of(connection, [query.alert_id]):
                raise _no_such_alert(query.alert_id)
            position = await log.head(connection)
            entries = await log.timeline(connection, query.alert_id, query.after, query.size + 1)
        return TimelinePage(entries[: query.size], len(entries) > query.size, position.epoch)

    @asynccontextmanager
    async def _snapshot(self) -> AsyncIterator[asyncpg.Connection]:
        async with (
            self._database.connection() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            yield connection


def _no_such_alert(alert_id: UUID) -> NotFoundError:
    return NotFoundError(f"There is no alert {alert_id}.", reason="ALERT_NOT_FOUND")
