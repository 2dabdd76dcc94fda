"""Who is let in by tocsin-notify: every method that it registers, with every credential."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from support.access_walk import let_in, let_in_by_role, listed_by_role, unproven
from support.identity import Credentials
from support.notify import NO_ALERT_SERVICE, running_notify
from support.registered import registered_methods
from tocsin.common.identity.identity_rules import IDENTITY_RULES
from tocsin.common.identity.roles import Role
from tocsin.common.rpc.channel import open_channel
from tocsin.notify.rpc.access import RULES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import grpc

    from tocsin.notify.app import NotifyApp

pytestmark = pytest.mark.postgres

TABLE = {**RULES, **IDENTITY_RULES}
HEALTH = {method for method in TABLE if method.startswith("/grpc.health.")}


@pytest.fixture
async def admitted(notify_url: str) -> Credentials:
    credentials = Credentials(notify_url)
    await credentials.token(Role.ADMIN, name="first")
    return credentials


@pytest.fixture
async def notify(admitted: Credentials) -> AsyncIterator[NotifyApp]:
    limits: dict[str, Any] = {"max_calls_per_second": 0, "max_streams_per_caller": 0}
    async with running_notify(
        admitted.url, NO_ALERT_SERVICE, insecure_dev=False, **limits
    ) as running:
        yield running


@pytest.fixture
async def channel(notify: NotifyApp) -> AsyncIterator[grpc.aio.Channel]:
    async with open_channel(f"127.0.0.1:{notify.port}") as opened:
        yield opened


async def test_every_registered_method_is_in_the_table_and_nothing_else(
    admitted: Credentials,
) -> None:
    with registered_methods() as registered:
        async with running_notify(admitted.url, NO_ALERT_SERVICE, insecure_dev=False):
            pass

    assert set(TABLE) == registered


async def test_without_a_valid_credential_only_health_is_told(
    notify: NotifyApp, channel: grpc.aio.Channel, admitted: Credentials
) -> None:
    tried = await unproven(admitted)
    await notify._security._watch.refresh()

    for lacking, metadata in tried.items():
        assert (lacking, HEALTH) == (lacking, await let_in(channel, TABLE, metadata))


async def test_each_role_opens_what_the_table_gives_it_and_nothing_else(
    notify: NotifyApp, channel: grpc.aio.Channel, admitted: Credentials
) -> None:
    opened = await let_in_by_role(channel, TABLE, admitted, notify._security._watch.refresh)

    assert listed_by_role(TABLE, TABLE) == opened
