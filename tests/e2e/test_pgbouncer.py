"""Both services behind a real PgBouncer in transaction mode, two replicas of each."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import asyncpg
import pytest

from support.alert import RunningAlert, running_alert
from support.notify import running_notify
from support.pgbouncer import needs_pgbouncer, running_pgbouncer
from support.postgres import migrations_of
from support.receiver import Receiver, running_receiver
from support.waiting import eventually
from tocsin.api.notify.v1.channel_pb2 import Channel, WebhookConfig
from tocsin.client import AlertClient, EventSubscription, NotifyClient
from tocsin.common.errors import UnavailableError
from tocsin.common.postgres.engine import Database
from tocsin.common.postgres.preparation import prepare
from tocsin.common.postgres.reachable import UnreachableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from support.postgres import NewDatabase
    from tocsin.notify.app import NotifyApp

pytestmark = [pytest.mark.postgres, needs_pgbouncer]

KEYS = 12


@dataclass(frozen=True)
class Site:
    alerts: tuple[RunningAlert, RunningAlert]
    notifies: tuple[NotifyApp, NotifyApp]
    receiver: Receiver


@asynccontextmanager
async def running_site(new_database: NewDatabase, *, pool_size: int) -> AsyncIterator[Site]:
    direct = [await new_database("alert"), await new_database("notify")]
    async with AsyncExitStack() as stack:
        bouncer = ExitStack()
        stack.callback(bouncer.close)
        alert_url, notify_url = bouncer.enter_context(
            running_pgbouncer(*direct, pool_size=pool_size)
        )
        receiver = await stack.enter_async_context(running_receiver())
        alerts = [
            await stack.enter_async_context(running_alert(alert_url, database_direct_url=direct[0]))
            for _ in range(2)
        ]
        notifies = [
            await stack.enter_async_context(
                running_notify(notify_url, alerts[n].target, database_direct_url=direct[1])
            )
            for n in range(2)
        ]
        yield Site((alerts[0], alerts[1]), (notifies[0], notifies[1]), receiver)


@pytest.mark.parametrize("pool_size", [2, 5])
async def test_what_is_raised_is_watched_and_told_once_through_a_pooler(
    new_database: NewDatabase, pool_size: int
) -> None:
    async with (
        running_site(new_database, pool_size=pool_size) as site,
        AlertClient(site.alerts[0].target) as one,
        AlertClient(site.alerts[1].target) as other,
        NotifyClient(f"127.0.0.1:{site.notifies[0].port}") as channels,
        EventSubscription(site.alerts[1].channel, on_first="oldest") as events,
    ):
        both = (one, other)
        webhook = WebhookConfig(url=site.receiver.url)
        await channels.create_channel(Channel(display_name="on call", webhook=webhook))
        raised = await asyncio.gather(
            *(both[n % 2].raise_or_touch("web-1", "backup_failed", str(n)) for n in range(KEYS))
        )
        await site.receiver.wait_for(KEYS)
        await asyncio.gather(*(each.auto_resolve("web-1", "backup_failed", "0") for each in both))
        await site.receiver.wait_for(KEYS + 1)

        revisions = list[int]()
        async for batch in events:
            revisions += [each.event.position.revision for each in batch.events]
            if len(revisions) > KEYS:
                break
        assert list(range(1, KEYS + 2)) == revisions
        ids = [request.webhook_id for request in site.receiver.requests]
        assert KEYS + 1 == len(ids) == len(set(ids))
        standing = {alert.alert_id async for alert in one.list_alerts()}
        assert {answer.alert.alert_id for answer in raised[1:]} == standing


async def test_snapshots_are_taken_by_both_replicas_at_once_through_a_pooler(
    new_database: NewDatabase,
) -> None:
    async def snapshot(alert: RunningAlert) -> int:
        async with EventSubscription(alert.channel, on_first="snapshot_known") as events:
            async for batch in events:
                return len(batch.snapshot)
        raise AssertionError("the subscription ended")

    async with (
        running_site(new_database, pool_size=3) as site,
        AlertClient(site.alerts[0].target) as alerts,
    ):
        for n in range(5):
            await alerts.raise_or_touch("web-1", "backup_failed", str(n))
        counts = await asyncio.gather(*(snapshot(each) for each in site.alerts * 8))

    assert {5} == set(counts)


async def test_a_pooled_database_goes_on_in_whatever_session_it_is_given(
    empty_url: str,
) -> None:
    with running_pgbouncer(empty_url, pool_size=2) as (url,):
        databases = [Database(url, application_name="t", pool_size=8, pooled=True) for _ in "ab"]

        async def ask(database: Database, n: int) -> int:
            async with database.connection() as connection:
                first = await connection.fetchval("SELECT $1::integer", n)
            async with database.core() as core:
                second = (await core.exec_driver_sql(f"SELECT {n}")).scalar_one()
            async with database.transaction() as connection:
                cursor = await connection.cursor("SELECT generate_series(1, $1::integer)", n)
                third = len(await cursor.fetch(n + 1))
            return int(first + second + third)

        answers = await asyncio.gather(*(ask(databases[n % 2], n) for n in range(1, 200)))
        for database in databases:
            await database.close()

    assert [3 * n for n in range(1, 200)] == answers


async def test_a_session_is_in_utc_and_bears_its_name_through_a_pooler(empty_url: str) -> None:
    with running_pgbouncer(empty_url, pool_size=2) as (url,):
        database = Database(url, application_name="tocsin-test", pooled=True)
        asked = "SELECT current_setting('timezone'), current_setting('application_name')"
        async with database.connection() as connection:
            row = await connection.fetchrow(asked)
        await database.close()

    assert ("UTC", "tocsin-test") == tuple(row)


async def test_a_pooler_that_was_not_told_of_is_met_with_errors_and_not_with_wrong_answers(
    empty_url: str,
) -> None:
    """PgBouncer refuses what a direct connection sets, so the mistake shows at the first use."""
    with running_pgbouncer(empty_url, pool_size=2) as (url,):
        database = Database(url, application_name="tocsin-test")
        with pytest.raises(UnavailableError):
            async with database.connection():
                pass
        await database.close()


async def test_a_pooler_that_does_not_answer_is_told_at_the_start(empty_url: str) -> None:
    nobody = "postgresql://tocsin:x@127.0.0.1:1/tocsin_alert"
    with pytest.raises(UnreachableError, match=r"127\.0\.0\.1:1"):
        await prepare(
            empty_url, migrations_of("alert"), patience=timedelta(seconds=1), pooler=nobody
        )


async def test_statements_that_need_a_name_have_one_that_no_other_process_takes(
    empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes count their statements from one, and meet in one session of the server."""
    with running_pgbouncer(empty_url, pool_size=1) as (url,):
        databases = [Database(url, application_name="t", pooled=True) for _ in "ab"]
        for database in databases:
            monkeypatch.setattr("asyncpg.connection._uid", 0)
            async with database.transaction() as connection:
                cursor = await connection.cursor("SELECT generate_series(1, 3)")
                assert 3 == len(await cursor.fetch(10))
        for database in databases:
            await database.close()


async def test_who_follows_holds_its_lock_without_the_pooler(
    new_database: NewDatabase,
) -> None:
    """A lock in a session of the pooler would be shared, or lost, with that session."""
    direct = await new_database("notify")
    asking = await asyncpg.connect(direct)

    async def holder() -> int | None:
        found: int | None = await asking.fetchval(
            "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        return found

    async def nobody_else(pid: int) -> bool:
        others: int = await asking.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid NOT IN ($1, pg_backend_pid())",
            pid,
        )
        return others == 0

    async with running_alert(await new_database("alert")) as alert:
        bouncer = ExitStack()
        (url,) = bouncer.enter_context(running_pgbouncer(direct, pool_size=3))
        async with running_notify(url, alert.target, database_direct_url=direct):
            leader = await eventually(holder)
            assert leader is not None
            bouncer.close()  # all of its sessions end
            await eventually(partial(nobody_else, leader))
            assert leader == await holder()
    await asking.close()
