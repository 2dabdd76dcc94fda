"""Keys that flap no more: whoever was told that they do is told once that they have stopped."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from tocsin.common.ids import uuid7
from tocsin.common.lifecycle import BackgroundLoop
from tocsin.notify.domain.notice import FlapNotice, NoticeType
from tocsin.notify.store import deliveries_waiting, flaps, inbox, notices, tellings
from tocsin.notify.store.collapse import NewDelivery

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    import asyncpg

    from tocsin.common.clock import Clock
    from tocsin.common.ids import NewId
    from tocsin.common.postgres.engine import Database
    from tocsin.notify.store.flaps import EndedFlap

# How late the end of a flap may be found.
REST = timedelta(seconds=5)
_BATCH = 100


class FlapEnds:
    """Ends flaps, until stopped.

    Several processes may do it at once: each takes what no other has. `on_change` is called when
    there is something new to deliver.
    """

    def __init__(
        self,
        database: Database,
        *,
        clock: Clock,
        on_change: Callable[[], None],
        new_id: NewId = uuid7,
    ) -> None:
        self._database = database
        self._clock = clock
        self._on_change = on_change
        self._new_id = new_id
        self._loop = BackgroundLoop("flap ends", self.step)

    @property
    def loop(self) -> BackgroundLoop:
        """What takes its steps."""
        return self._loop

    async def start(self) -> None:
        await self._loop.start()

    async def stop(self) -> None:
        await self._loop.stop()

    async def step(self) -> timedelta:
        """End what was calm for long enough, at most 100 keys, and return how long to rest."""
        now = self._clock.now()
        async with self._database.transaction() as connection:
            channels = await inbox.lock_channels(connection)
            count, ended = await flaps.take_ended(connection, now, _BATCH)
            told = [each for one in ended for each in await self._told(connection, one, now)]
            told = [each for each in told if each.channel_id in channels]
            made = await deliveries_waiting.address(connection, told, now)
        if made:
            self._on_change()
        return timedelta() if count == _BATCH else REST

    async def _told(
        self, connection: asyncpg.Connection, ended: EndedFlap, now: datetime
    ) -> list[NewDelivery]:
        notice = self._notice(ended, now)
        sequence = await notices.add(connection, notice, notice.subject_id, now)
        return [
            NewDelivery(
                delivery_id=self._new_id(),
                channel_id=telling.channel_id,
                alert_id=notice.subject_id,
                event_id=notice.event_id,
                sequence=sequence,
                type=notice.type,
                route_id=telling.route_id,
                group_key=telling.group_key,
                follows=True,
                is_over=True,
            )
            for telling in await tellings.of_alerts(connection, [notice.subject_id])
        ]

    def _notice(self, ended: EndedFlap, now: datetime) -> FlapNotice:
        beginning, alert = ended.beginning, ended.open_alert
        return FlapNotice(
            event_id=self._new_id(),
            type=NoticeType.STEADY,
            subject_id=beginning.subject_id,
            alert_id=beginning.alert_id if alert is None else alert.alert_id,
            host_id=beginning.host_id,
            host_name=beginning.host_name if alert is None else alert.host_name,
            kind=beginning.kind,
            dedup_key=beginning.dedup_key,
            severity=beginning.severity if alert is None else alert.severity,
            raises=len(ended.flap.raise_times),
            window=beginning.window,
            is_open=alert is not None,
            occur_time=now,
        )
