"""Channels in a real database."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from support.notifications import AT, PASSWORD, SECRET
from support.notify_ground import OK, Ground
from tocsin.common.errors import AbortedError, AlreadyExistsError, NotFoundError
from tocsin.notify.domain.channel import (
    Channel,
    ConsoleConfig,
    EmailConfig,
    EmailSecurity,
    Secrets,
    WebhookConfig,
)
from tocsin.notify.domain.delivery import DeliveryState
from tocsin.notify.store.channels import ChannelStore
from tocsin.notify.store.sealing import Sealing, SecretsUnreadableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.clock import ManualClock
    from tocsin.common.postgres.engine import Database
    from tocsin.notify.domain.channel import ChannelConfig

pytestmark = pytest.mark.postgres

EMAIL = EmailConfig(
    "mail.example.com", 465, EmailSecurity.TLS, "u", "a@example.com", ("b@example.com", "c@d.e")
)
WEBHOOK = WebhookConfig("https://hooks.example.com/")
SECRETS = Secrets(signing_secret=SECRET, password=PASSWORD)


@pytest.fixture
def store(notify_database: Database, clock: ManualClock) -> ChannelStore:
    return ChannelStore(notify_database, Sealing(b"k" * 32), clock)


def renamed(name: str) -> Callable[[Channel, object], tuple[Channel, None]]:
    return lambda present, _: (replace(present, display_name=name), None)


@pytest.mark.parametrize(
    "config",
    [WEBHOOK, replace(WEBHOOK, previous_secret_expire_time=AT), EMAIL, ConsoleConfig()],
    ids=["webhook", "rotating webhook", "email", "console"],
)
async def test_a_channel_is_read_as_it_was_created(
    store: ChannelStore, config: ChannelConfig
) -> None:
    created = await store.create("on call", config, SECRETS)

    assert created == await store.get(created.channel_id)
    assert config == created.config
    assert SECRETS == (await store.get_opened(created.channel_id))[1]


async def test_secrets_are_not_readable_in_the_database(
    store: ChannelStore, notify_database: Database
) -> None:
    await store.create("on call", WEBHOOK, SECRETS)

    async with notify_database.connection() as connection:
        dump = await connection.fetchval("SELECT channels::text FROM channels")
    assert SECRET.removeprefix("whsec_") not in dump
    assert PASSWORD not in dump


async def test_the_secrets_of_one_channel_do_not_open_for_another(
    store: ChannelStore, notify_database: Database
) -> None:
    first = await store.create("first", WEBHOOK, SECRETS)
    second = await store.create("second", WEBHOOK, Secrets(signing_secret="whsec_other"))
    async with notify_database.connection() as connection:
        await connection.execute(
            "UPDATE channels SET sealed_secrets ="
            " (SELECT sealed_secrets FROM channels WHERE channel_id = $1) WHERE channel_id = $2",
            first.channel_id,
            second.channel_id,
        )

    with pytest.raises(SecretsUnreadableError):
        await store.get_opened(second.channel_id)


async def test_a_name_can_be_taken_only_once_until_its_channel_is_deleted(
    store: ChannelStore,
) -> None:
    first = await store.create("on call", WEBHOOK, SECRETS)
    with pytest.raises(AlreadyExistsError, match="Another channel has the display_name 'on call'"):
        await store.create("on call", ConsoleConfig(), Secrets())
    other = await store.create("other", ConsoleConfig(), Secrets())
    with pytest.raises(AlreadyExistsError):
        await store.update(other.channel_id, renamed("on call"))

    await store.delete(first.channel_id)

    await store.create("on call", ConsoleConfig(), Secrets())


async def test_a_list_is_sorted_by_name_and_goes_on_after_one(store: ChannelStore) -> None:
    for name in ("b", "a", "Z", "ä"):
        await store.create(name, ConsoleConfig(), Secrets())

    first = await store.list_page(limit=2)
    second = await store.list_page(after=first[-1].display_name, limit=5)

    assert ["Z", "a"] == [channel.display_name for channel in first]
    assert ["b", "ä"] == [channel.display_name for channel in second]


async def test_only_enabled_channels_are_sent_to(store: ChannelStore) -> None:
    on = await store.create("on", ConsoleConfig(), Secrets())
    await store.create("off", ConsoleConfig(), Secrets(), enabled=False)
    gone = await store.create("gone", ConsoleConfig(), Secrets())
    await store.delete(gone.channel_id)

    assert [on] == await store.list_enabled()


async def test_a_change_grows_the_version_and_the_time(
    store: ChannelStore, clock: ManualClock
) -> None:
    created = await store.create("on call", WEBHOOK, SECRETS)
    later = clock.advance(timedelta(minutes=1))

    changed = await store.update(created.channel_id, renamed("new"))

    assert replace(created, display_name="new", version=2, update_time=later) == changed
    assert changed == await store.get(created.channel_id)
    assert SECRETS == (await store.get_opened(created.channel_id))[1]


async def test_what_changes_nothing_grows_no_version(store: ChannelStore) -> None:
    created = await store.create("on call", WEBHOOK, SECRETS)

    assert created == await store.update(
        created.channel_id,
        renamed("on call"),
    )


async def test_a_change_of_an_older_version_is_refused(store: ChannelStore) -> None:
    created = await store.create("on call", WEBHOOK, SECRETS)
    await store.update(created.channel_id, renamed("new"), expected_version=1)

    with pytest.raises(AbortedError, match="has version 2 by now, not 1"):
        await store.update(
            created.channel_id,
            renamed("newer"),
            expected_version=1,
        )


async def test_changes_at_the_same_time_follow_one_another(store: ChannelStore) -> None:
    created = await store.create("0", WEBHOOK, SECRETS)

    def one_more(present: Channel, _: object) -> tuple[Channel, None]:
        return replace(present, display_name=str(int(present.display_name) + 1)), None

    await asyncio.gather(*(store.update(created.channel_id, one_more) for _ in range(20)))

    last = await store.get(created.channel_id)
    assert ("20", 21) == (last.display_name, last.version)


async def test_a_far_side_that_asks_for_it_disables_the_channel(store: ChannelStore) -> None:
    created = await store.create("on call", WEBHOOK, SECRETS)

    assert await store.disable(created.channel_id, "410 Gone", version=1)

    channel = await store.get(created.channel_id)
    assert (False, "410 Gone", 2) == (channel.enabled, channel.disabled_reason, channel.version)


async def test_a_channel_that_was_changed_in_the_meantime_is_not_disabled(
    store: ChannelStore,
) -> None:
    created = await store.create("on call", WEBHOOK, SECRETS)
    await store.update(created.channel_id, renamed("leads elsewhere now"))

    assert not await store.disable(created.channel_id, "410 Gone", version=1)

    assert (await store.get(created.channel_id)).enabled


async def test_disabling_again_or_after_the_end_changes_nothing(store: ChannelStore) -> None:
    created = await store.create("on call", WEBHOOK, SECRETS)
    await store.disable(created.channel_id, "410 Gone", version=1)

    assert not await store.disable(created.channel_id, "other", version=2)
    assert not await store.disable(uuid4(), "other", version=1)

    assert "410 Gone" == (await store.get(created.channel_id)).disabled_reason


async def test_deleting_ends_what_was_not_delivered_and_wipes_the_secrets(
    notify_database: Database, clock: ManualClock
) -> None:
    ground = Ground(notify_database, clock)
    kept = await ground.channel()
    deleted = await ground.webhook("https://hooks.example.com/", SECRET)
    await ground.raised(1, 2, 3)
    queue = ground.queue()
    first, second = await queue.claim(deleted, 2)
    await queue.settle(first, OK)

    assert 2 == await ground.channels.delete(deleted)

    assert [DeliveryState.DELIVERED, DeliveryState.DEAD, DeliveryState.DEAD] == (
        await ground.states(deleted)
    )
    assert [DeliveryState.PENDING] * 3 == await ground.states(kept)
    assert not await queue.settle(second, OK)
    assert [(None,)] == await ground.rows(
        "SELECT sealed_secrets FROM channels WHERE channel_id = $1", deleted
    )


async def test_a_deleted_channel_is_as_if_it_were_not_there(store: ChannelStore) -> None:
    gone = (await store.create("on call", WEBHOOK, SECRETS)).channel_id
    await store.delete(gone)

    for call in (
        store.get(gone),
        store.get_opened(gone),
        store.delete(gone),
        store.update(gone, renamed("new")),
    ):
        with pytest.raises(NotFoundError) as raised:
            await call
        assert "CHANNEL_NOT_FOUND" == raised.value.reason
    assert [] == await store.list_page(limit=10)
