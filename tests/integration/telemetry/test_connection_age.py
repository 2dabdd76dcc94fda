"""Connections that come of age, again and again: streams are resumed where they were."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from support.alert import running_alert
from support.telemetry import metrics, running_site
from support.waiting import WITHIN_SECONDS
from tocsin.client import AlertClient, EventSubscription

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

pytestmark = pytest.mark.postgres

AGE: dict[str, Any] = {"max_connection_age_seconds": 1.0, "max_connection_age_grace_seconds": 0.1}
TIMES = 3


async def raise_until(client: AlertClient, enough: Callable[[], Awaitable[bool]]) -> int:
    """Raise alerts, one after the other, until it is enough; return how many."""
    count = 0
    async with asyncio.timeout(WITHIN_SECONDS):
        while not await enough():
            # Each on a host of its own: very many of one would be told by one alert.
            await client.raise_or_touch(f"web-{count}", "disk_full", severity="warning")
            count += 1
    return count


async def test_a_subscriber_misses_nothing_and_is_told_nothing_twice(alert_url: str) -> None:
    async with (
        running_alert(alert_url, **AGE) as alert,
        AlertClient(alert.target) as client,
        EventSubscription(alert.channel, on_first="oldest") as subscription,
    ):
        revisions: list[int] = []

        async def follow(last: asyncio.Future[int]) -> None:
            async for batch in subscription:
                revisions.extend(each.event.position.revision for each in batch.events)
                if last.done() and revisions and revisions[-1] >= last.result():
                    return

        async def enough() -> bool:
            return subscription.counts.connections > TIMES

        last: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        following = asyncio.create_task(follow(last))
        count = await raise_until(client, enough)
        last.set_result(count + 1)  # before it is raised: it may be heard of before it is answered
        await client.raise_or_touch("web-1", "disk_full", "last", severity="warning")
        async with asyncio.timeout(WITHIN_SECONDS):
            await following

        assert list(range(1, count + 2)) == revisions
        assert 0 == subscription.counts.out_of_step
        assert 0 == subscription.counts.snapshots


async def test_notify_delivers_every_event_once(alert_url: str, notify_url: str) -> None:
    async with running_site(alert_url, notify_url, **AGE) as site:

        async def enough() -> bool:
            seen = await metrics(site.alert.app)
            return (
                seen.value("tocsin_alert_rpc_calls_total", method="AlertService/WatchEvents")
                >= TIMES
            )

        count = await raise_until(site.client, enough)
        requests = await site.receiver.wait_for(count)
        told = [each.json["data"]["position"]["revision"] for each in requests]

        assert list(range(1, count + 1)) == sorted(told)
