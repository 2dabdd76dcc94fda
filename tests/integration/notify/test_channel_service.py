"""ChannelService through a real server."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import grpc
import pytest
import structlog
from google.protobuf.field_mask_pb2 import FieldMask
from standardwebhooks import Webhook

from support.certificates import server_tls
from support.mailserver import running_mailserver
from support.notifications import FORMER_SECRET, PASSWORD, SECRET
from support.notify_rpc import serving_notify
from support.receiver import Answer, running_receiver
from support.refusals import refusal_of
from tocsin.api.notify.v1 import channel_service_pb2 as api
from tocsin.api.notify.v1.channel_pb2 import (
    EMAIL_SECURITY_STARTTLS,
    Channel,
    ConsoleConfig,
    EmailConfig,
    WebhookConfig,
)
from tocsin.api.notify.v1.delivery_pb2 import (
    ATTEMPT_OUTCOME_DELIVERED,
    ATTEMPT_OUTCOME_REFUSED,
    ATTEMPT_OUTCOME_RETRY,
)
from tocsin.common.clock import SystemClock
from tocsin.notify.domain.channel import Secrets
from tocsin.notify.store.sealing import Sealing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from support.clock import ManualClock
    from support.notify_rpc import NotifyRpc
    from support.receiver import Receiver
    from tocsin.common.postgres.engine import Database

pytestmark = pytest.mark.postgres

URL = "https://hooks.example.com/tocsin"


@pytest.fixture
async def rpc(notify_database: Database, clock: ManualClock) -> AsyncIterator[NotifyRpc]:
    async with serving_notify(notify_database, clock) as running:
        yield running


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with running_receiver() as running:
        yield running


async def create(rpc: NotifyRpc, name: str = "on call", **config: Any) -> Channel:
    given = config or {"webhook": WebhookConfig(url=URL, signing_secret=SECRET)}
    channel = Channel(display_name=name, enabled=True, **given)
    return (await rpc.channels.CreateChannel(api.CreateChannelRequest(channel=channel))).channel


async def update(rpc: NotifyRpc, channel: Channel, *paths: str) -> Channel:
    request = api.UpdateChannelRequest(channel=channel, update_mask=FieldMask(paths=paths))
    return (await rpc.channels.UpdateChannel(request)).channel


async def test_a_webhook_is_created_with_a_secret_that_is_shown_once(
    rpc: NotifyRpc, clock: ManualClock
) -> None:
    channel = Channel(display_name="on call", enabled=True, webhook=WebhookConfig(url=URL))

    created = await rpc.channels.CreateChannel(api.CreateChannelRequest(channel=channel))
    read = await rpc.channels.GetChannel(
        api.GetChannelRequest(channel_id=created.channel.channel_id)
    )

    assert created.generated_signing_secret.startswith("whsec_")
    assert created.channel == read.channel
    assert URL == read.channel.webhook.url
    assert "" == read.channel.webhook.signing_secret
    assert 1 == read.channel.version
    assert clock.now() == read.channel.create_time.ToDatetime(clock.now().tzinfo)
    assert 1 == len(rpc.changes)


async def test_a_channel_is_enabled_unless_it_says_otherwise(rpc: NotifyRpc) -> None:
    silent = Channel(display_name="silent", webhook=WebhookConfig(url=URL))
    told = Channel(display_name="told", enabled=False, webhook=WebhookConfig(url=URL))

    created = [
        (await rpc.channels.CreateChannel(api.CreateChannelRequest(channel=each))).channel.enabled
        for each in (silent, told)
    ]

    assert [True, False] == created


async def test_a_secret_of_ones_own_is_not_shown_at_all(rpc: NotifyRpc) -> None:
    channel = Channel(display_name="on call", webhook=WebhookConfig(url=URL, signing_secret=SECRET))

    created = await rpc.channels.CreateChannel(api.CreateChannelRequest(channel=channel))

    assert "" == created.generated_signing_secret
    assert "" == created.channel.webhook.signing_secret


async def test_a_mailbox_is_created_with_the_defaults_filled_in(rpc: NotifyRpc) -> None:
    created = await create(
        rpc,
        email=EmailConfig(
            smtp_host="mail.example.com",
            username="tocsin",
            password=PASSWORD,
            from_address="tocsin@example.com",
            to_addresses=["ops@example.com"],
        ),
    )

    assert (587, EMAIL_SECURITY_STARTTLS) == (created.email.smtp_port, created.email.security)
    assert created.email.password_set
    assert "" == created.email.password


async def test_a_bad_request_tells_everything_that_is_wrong_at_once(rpc: NotifyRpc) -> None:
    channel = Channel(
        webhook=WebhookConfig(url="http://10.0.0.1/#x", signing_secret="whsec_c2hvcnQ=")
    )

    refusal = await refusal_of(
        rpc.channels.CreateChannel(api.CreateChannelRequest(channel=channel))
    )

    assert grpc.StatusCode.INVALID_ARGUMENT is refusal.code
    assert "INVALID_FIELD" == refusal.reason
    assert {
        "channel.display_name",
        "channel.webhook.url",
        "channel.webhook.signing_secret",
    } == set(refusal.violations)
    assert "c2hvcnQ" not in str(refusal)
    assert [] == rpc.changes


async def test_an_empty_request_tells_what_is_needed(rpc: NotifyRpc) -> None:
    refusal = await refusal_of(rpc.channels.CreateChannel(api.CreateChannelRequest()))

    assert {"channel.display_name", "channel.config"} == set(refusal.violations)


async def test_a_name_that_is_taken_is_refused(rpc: NotifyRpc) -> None:
    await create(rpc)

    refusal = await refusal_of(create(rpc))

    assert grpc.StatusCode.ALREADY_EXISTS is refusal.code
    assert "CHANNEL_NAME_TAKEN" == refusal.reason


@pytest.mark.parametrize(
    ("method", "request_type"),
    [
        ("GetChannel", api.GetChannelRequest),
        ("DeleteChannel", api.DeleteChannelRequest),
        ("TestChannel", api.TestChannelRequest),
    ],
)
async def test_an_unknown_and_a_malformed_id_are_told_apart(
    rpc: NotifyRpc, method: str, request_type: Any
) -> None:
    call = getattr(rpc.channels, method)

    unknown = await refusal_of(call(request_type(channel_id=str(uuid4()))))
    malformed = await refusal_of(call(request_type(channel_id="on call")))
    missing = await refusal_of(call(request_type()))

    assert grpc.StatusCode.NOT_FOUND is unknown.code
    assert "CHANNEL_NOT_FOUND" == unknown.reason
    assert grpc.StatusCode.INVALID_ARGUMENT is malformed.code
    assert {"channel_id"} == set(malformed.violations) == set(missing.violations)


async def test_channels_are_listed_by_name_in_pages(rpc: NotifyRpc) -> None:
    for name in ("d", "b", "a", "e", "c"):
        await create(rpc, name, console=ConsoleConfig())

    names, token = [], ""
    while True:
        page = await rpc.channels.ListChannels(
            api.ListChannelsRequest(page_size=2, page_token=token)
        )
        names.append([channel.display_name for channel in page.channels])
        token = page.next_page_token
        if not token:
            break

    assert [["a", "b"], ["c", "d"], ["e"]] == names


@pytest.mark.parametrize("token", ["x", "AAAA", "%%%", "a" * 5000])
async def test_a_made_up_page_token_is_refused(rpc: NotifyRpc, token: str) -> None:
    refusal = await refusal_of(
        rpc.channels.ListChannels(api.ListChannelsRequest(page_token=token, page_size=-1))
    )

    assert {"page_token", "page_size"} == set(refusal.violations)


async def test_an_update_takes_what_the_mask_names_and_no_more(rpc: NotifyRpc) -> None:
    created = await create(rpc)
    created.display_name = "renamed"
    created.webhook.url = "https://other.example.com/"
    created.enabled = False

    changed = await update(rpc, created, "display_name")

    assert ("renamed", URL, True, 2) == (
        changed.display_name,
        changed.webhook.url,
        changed.enabled,
        changed.version,
    )


async def test_an_update_that_is_repeated_changes_nothing(rpc: NotifyRpc) -> None:
    created = await create(rpc)
    wanted = Channel(channel_id=created.channel_id, display_name="renamed")

    first = await update(rpc, wanted, "display_name")
    second = await update(rpc, wanted, "display_name")

    assert first == second


async def test_an_update_of_an_older_version_is_aborted(rpc: NotifyRpc) -> None:
    created = await create(rpc)
    await update(rpc, Channel(channel_id=created.channel_id, enabled=False), "enabled")
    created.display_name = "renamed"

    refusal = await refusal_of(update(rpc, created, "display_name"))

    assert grpc.StatusCode.ABORTED is refusal.code
    assert "VERSION_MISMATCH" == refusal.reason


async def test_a_bad_update_tells_everything_that_is_wrong_at_once(rpc: NotifyRpc) -> None:
    wanted = Channel(
        channel_id="x",
        version=-1,
        display_name="",
        webhook=WebhookConfig(url="http://10.0.0.1/", signing_secret="whsec_"),
    )

    refusal = await refusal_of(update(rpc, wanted, "display_name", "webhook", "version"))

    assert {
        "channel.channel_id",
        "channel.version",
        "channel.display_name",
        "channel.webhook.url",
        "channel.webhook.signing_secret",
        "update_mask",
    } == set(refusal.violations)
    said = refusal.violations["update_mask"]
    assert "it may name display_name, enabled, rate_limit, the type (webhook, email" in said


async def test_an_update_needs_a_mask(rpc: NotifyRpc) -> None:
    created = await create(rpc)

    refusal = await refusal_of(
        rpc.channels.UpdateChannel(api.UpdateChannelRequest(channel=created))
    )

    assert {"update_mask"} == set(refusal.violations)


async def test_a_secret_that_is_named_must_be_given(rpc: NotifyRpc) -> None:
    created = await create(rpc)

    refusal = await refusal_of(update(rpc, created, "webhook.signing_secret"))

    assert {"channel.webhook.signing_secret"} == set(refusal.violations)


async def test_rotation_shows_until_when_the_former_secret_signs(
    rpc: NotifyRpc, clock: ManualClock
) -> None:
    created = await create(rpc)
    wanted = Channel(
        channel_id=created.channel_id, webhook=WebhookConfig(signing_secret=FORMER_SECRET)
    )

    rotating = await update(rpc, wanted, "webhook.signing_secret")
    clock.advance(timedelta(hours=24))
    after = await rpc.channels.GetChannel(api.GetChannelRequest(channel_id=created.channel_id))

    assert created.create_time.ToDatetime() + timedelta(hours=24) == (
        rotating.webhook.previous_secret_expire_time.ToDatetime()
    )
    assert not after.channel.webhook.HasField("previous_secret_expire_time")


async def test_both_secrets_sign_what_is_sent_during_rotation(
    notify_database: Database, receiver: Receiver
) -> None:
    async with serving_notify(notify_database, SystemClock()) as rpc:
        created = await create(
            rpc, webhook=WebhookConfig(url=receiver.url, signing_secret=FORMER_SECRET)
        )
        wanted = Channel(
            channel_id=created.channel_id, webhook=WebhookConfig(signing_secret=SECRET)
        )
        await update(rpc, wanted, "webhook.signing_secret")

        await rpc.channels.TestChannel(api.TestChannelRequest(channel_id=created.channel_id))

    (request,) = receiver.requests
    assert Webhook(SECRET).verify(request.body, dict(request.headers))
    assert Webhook(FORMER_SECRET).verify(request.body, dict(request.headers))


async def test_deleting_a_channel_ends_it(rpc: NotifyRpc) -> None:
    created = await create(rpc)
    await rpc.ground.raised(1, 2)
    request = api.DeleteChannelRequest(channel_id=created.channel_id)

    deleted = await rpc.channels.DeleteChannel(request)
    again = await refusal_of(rpc.channels.DeleteChannel(request))

    assert 2 == deleted.dead_deliveries
    assert grpc.StatusCode.NOT_FOUND is again.code


async def test_a_test_says_what_the_far_side_answered_and_records_nothing(
    rpc: NotifyRpc, receiver: Receiver
) -> None:
    created = await create(rpc, webhook=WebhookConfig(url=receiver.url, signing_secret=SECRET))
    receiver.always = Answer(500, body=b"not today")

    tried = await rpc.channels.TestChannel(api.TestChannelRequest(channel_id=created.channel_id))

    (request,) = receiver.requests
    assert "channel.test" == request.json["type"]
    assert (1, ATTEMPT_OUTCOME_RETRY, 500) == (
        tried.attempt.number,
        tried.attempt.outcome,
        tried.attempt.status_code,
    )
    assert "not today" in tried.attempt.detail
    assert [(0,)] == await rpc.ground.rows("SELECT count(*) FROM attempts")


async def test_a_test_works_while_the_channel_is_disabled(
    rpc: NotifyRpc, receiver: Receiver
) -> None:
    created = await create(rpc, webhook=WebhookConfig(url=receiver.url, signing_secret=SECRET))
    await update(rpc, Channel(channel_id=created.channel_id, enabled=False), "enabled")

    tried = await rpc.channels.TestChannel(api.TestChannelRequest(channel_id=created.channel_id))

    assert ATTEMPT_OUTCOME_DELIVERED == tried.attempt.outcome


async def test_a_test_of_a_console_writes_a_line(
    rpc: NotifyRpc, capfd: pytest.CaptureFixture[str]
) -> None:
    created = await create(rpc, console=ConsoleConfig())

    tried = await rpc.channels.TestChannel(api.TestChannelRequest(channel_id=created.channel_id))

    assert ATTEMPT_OUTCOME_DELIVERED == tried.attempt.outcome
    assert "TEST: this channel works" in capfd.readouterr().out


async def test_a_channel_whose_key_was_changed_says_so_and_is_mended_by_a_new_secret(
    rpc: NotifyRpc, notify_database: Database, receiver: Receiver
) -> None:
    created = await create(rpc, webhook=WebhookConfig(url=receiver.url, signing_secret=SECRET))
    under_another_key = Sealing(b"o" * 32).seal(
        UUID(created.channel_id), Secrets(signing_secret=FORMER_SECRET)
    )
    async with notify_database.connection() as connection:
        await connection.execute("UPDATE channels SET sealed_secrets = $1", under_another_key)
    test = api.TestChannelRequest(channel_id=created.channel_id)

    before = await rpc.channels.TestChannel(test)
    wanted = Channel(channel_id=created.channel_id, webhook=WebhookConfig(signing_secret=SECRET))
    await update(rpc, wanted, "webhook.signing_secret")
    after = await rpc.channels.TestChannel(test)

    assert ATTEMPT_OUTCOME_RETRY == before.attempt.outcome
    assert "its secrets cannot be opened; was the key changed?" in before.attempt.detail
    assert ATTEMPT_OUTCOME_DELIVERED == after.attempt.outcome


async def test_private_targets_are_refused_at_creation_and_names_when_they_are_dialled(
    notify_database: Database, clock: ManualClock, receiver: Receiver
) -> None:
    async with serving_notify(notify_database, clock, allowed=()) as rpc:
        refusal = await refusal_of(
            create(rpc, webhook=WebhookConfig(url=receiver.url, signing_secret=SECRET))
        )

    assert "TOCSIN_NOTIFY_ALLOWED_NETWORKS" in refusal.violations["channel.webhook.url"]


async def test_no_secret_is_returned_or_logged(
    notify_database: Database,
    receiver: Receiver,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    said: list[str] = []
    async with (
        serving_notify(notify_database, SystemClock()) as rpc,
        running_mailserver("other password", starttls=server_tls()) as mailbox,
    ):
        email = EmailConfig(
            smtp_host="127.0.0.1",
            smtp_port=mailbox.port,
            username="tocsin",
            password=PASSWORD,
            from_address="tocsin@example.com",
            to_addresses=["ops@example.com"],
        )
        receiver.always = Answer(400, body=f"bad signature, I use {SECRET}".encode())
        with structlog.testing.capture_logs() as logged:
            webhook = await create(
                rpc, webhook=WebhookConfig(url=receiver.url, signing_secret=SECRET)
            )
            mail = await create(rpc, "mail", email=email)
            for channel in (webhook, mail):
                tried = await rpc.channels.TestChannel(
                    api.TestChannelRequest(channel_id=channel.channel_id)
                )
                said.append(str(tried))
                assert ATTEMPT_OUTCOME_REFUSED == tried.attempt.outcome
            said.append(str(await rpc.channels.ListChannels(api.ListChannelsRequest())))
            email.password = "p" * 300
            said.append(str(await refusal_of(create(rpc, "x", email=email))))
            said += [str(webhook), str(mail), str(logged)]

    everything = "\n".join([*said, caplog.text, *capfd.readouterr()])
    for secret in (SECRET, SECRET.removeprefix("whsec_"), PASSWORD, "ppp"):
        assert secret not in everything
