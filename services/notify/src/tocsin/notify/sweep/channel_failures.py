"""A channel that does not work is an alert, told through the others."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from tocsin.client.errors import CallError
from tocsin.notify.domain.health import BreakerState
from tocsin.notify.store import channel_failures

if TYPE_CHECKING:
    from datetime import datetime

    from tocsin.common.clock import Clock
    from tocsin.common.postgres.engine import Database
    from tocsin.notify.store.channel_failures import WatchedChannel
    from tocsin.notify.sweep.alert_calls import AlertCalls

# How late a failure may be found.
REST = timedelta(seconds=10)

LATELY = timedelta(days=2)
"""What was given up longer ago is no news: it raises nothing any more."""

_log = structlog.get_logger(__name__)


class ChannelFailureSweep:
    """Looks at all channels; `step` is for a BackgroundLoop.

    A channel fails when its breaker is open and nothing was accepted for `after`, when something
    was given up so long ago and nothing accepted since, or when its far side asked never to be
    called again.
    Several processes may do it at once: a failure that is raised twice is one alert. While the
    alert service does not answer it is tried again.
    """

    def __init__(
        self, database: Database, calls: AlertCalls, *, clock: Clock, after: timedelta
    ) -> None:
        self._database = database
        self._calls = calls
        self._clock = clock
        self._after = after

    async def step(self) -> timedelta:
        """Raise what fails, resolve what works again, and return how long to rest."""
        now = self._clock.now()
        async with self._database.connection() as connection:
            channels = await channel_failures.read(connection)
        for channel in channels:
            found = failure(channel, now, self._after)
            if (found is not None) == channel.raised:
                continue
            try:
                await self._say(channel, found)
            except CallError as error:
                _log.warning("channel_failure_untold", error=str(error))
                break
        return REST

    async def _say(self, channel: WatchedChannel, found: str | None) -> None:
        if found is not None:
            await self._calls.raise_failing(channel.channel_id, channel.display_name, found)
        else:
            await self._calls.resolve_failing(channel.channel_id)
        async with self._database.connection() as connection:
            await channel_failures.note_raised(
                connection, channel.channel_id, raised=found is not None
            )


def failure(channel: WatchedChannel, now: datetime, after: timedelta) -> str | None:
    """Say why a channel counts as failing, None when it does not."""
    if channel.deleted:
        return None
    if not channel.enabled:
        reason = channel.disabled_reason
        return f"The channel was disabled by its far side: {reason}" if reason else None
    since = channel.failing_since
    is_broken = channel.breaker is not BreakerState.CLOSED
    # What was raised is mended only when the breaker closes.
    if is_broken and since is not None and (channel.raised or now - since >= after):
        return f"Nothing was accepted since {since:%Y-%m-%d %H:%M:%S} UTC: {channel.last_error}"
    if channel.dead_time is None or channel.dead_time <= channel.worked_time:
        return None
    if channel.raised or after <= now - channel.dead_time < LATELY:
        return f"A message was given up, and nothing accepted since. {channel.dead_reason}"
    return None
