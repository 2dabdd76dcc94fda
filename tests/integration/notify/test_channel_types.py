"""Every type of channels by RPC: described, created from its description, tried, changed."""

from __future__ import annotations

import importlib.util
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask

from support.notify_rpc import serving_notify
from support.receiver import Answer, running_receiver
from support.refusals import refusal_of
from tocsin.api.notify.v1 import channel_service_pb2 as api
from tocsin.api.notify.v1 import channel_type_pb2
from tocsin.api.notify.v1.channel_pb2 import (
    AlertmanagerConfig,
    Channel,
    EmailSecurity,
    RateLimit,
    WebhookConfig,
)
from tocsin.api.notify.v1.delivery_pb2 import ATTEMPT_OUTCOME_DELIVERED, ATTEMPT_OUTCOME_RETRY
from tocsin.common.clock import SystemClock
from tocsin.notify.domain.channel import ChannelType

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from support.notify_rpc import NotifyRpc
    from support.receiver import Receiver
    from tocsin.common.postgres.engine import Database

pytestmark = [
    pytest.mark.postgres,
    # The plugins of Apprise use what newer versions of Python do without.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

ALL = [each.value for each in ChannelType]
NEEDS_APPRISE = pytest.mark.skipif(
    importlib.util.find_spec("apprise") is None, reason="Apprise is not installed here"
)
BY_HTTP = [
    pytest.param(name, marks=NEEDS_APPRISE) if name == "apprise" else name
    for name in ALL
    if name not in {"console", "email"}
]
SECRET_WORD = "s3cr3t"


@pytest.fixture
async def rpc(notify_database: Database) -> AsyncIterator[NotifyRpc]:
    async with serving_notify(notify_database, SystemClock()) as running:
        yield running


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with running_receiver() as running:
        running.always = Answer(200, body=b"taken in")
        yield running


async def described(rpc: NotifyRpc, name: str) -> channel_type_pb2.ChannelType:
    answer = await rpc.channels.ListChannelTypes(api.ListChannelTypesRequest())
    return next(each for each in answer.channel_types if each.name == name)


def value_for(field: channel_type_pb2.ConfigField, url: str) -> Any:
    """Return what a form would be given for a field, by its description alone."""
    match field.type:
        case channel_type_pb2.CONFIG_FIELD_TYPE_INTEGER:
            return max(field.min, min(7, field.max))
        case channel_type_pb2.CONFIG_FIELD_TYPE_URL:
            return f"{url}/0123456789-s3cr3t" if field.secret else url
        case channel_type_pb2.CONFIG_FIELD_TYPE_EMAIL:
            return "ops@example.com"
        case channel_type_pb2.CONFIG_FIELD_TYPE_CHOICE:
            return EmailSecurity.Value(field.choices[0])
    candidates: tuple[str, ...] = ("backups", "-1001234567890")
    if field.secret:
        candidates = (
            "0123456789-s3cr3t",
            "0123456789:s3cr3t",
            f"{url.replace('http', 'json', 1)}/0123456789-s3cr3t",
        )
    for text in candidates:
        fits = field.repeated or field.min <= len(text) <= field.max
        if fits and re.fullmatch(field.pattern or ".*", text):
            return text
    raise AssertionError(f"nothing fits {field}")


async def filled(rpc: NotifyRpc, name: str, url: str) -> Channel:
    """Return a channel with what is required, and with servers of the test's own."""
    channel = Channel(display_name=f"a channel by {name}")
    config = getattr(channel, name)
    config.SetInParent()
    for field in (await described(rpc, name)).fields:
        if not field.required and field.type != channel_type_pb2.CONFIG_FIELD_TYPE_URL:
            continue
        value = value_for(field, url)
        if field.repeated:
            getattr(config, field.name).append(value)
        else:
            setattr(config, field.name, value)
    return channel


async def create(rpc: NotifyRpc, channel: Channel) -> Channel:
    return (await rpc.channels.CreateChannel(api.CreateChannelRequest(channel=channel))).channel


async def update(rpc: NotifyRpc, channel: Channel, *paths: str) -> Channel:
    request = api.UpdateChannelRequest(channel=channel, update_mask=FieldMask(paths=paths))
    return (await rpc.channels.UpdateChannel(request)).channel


async def test_every_type_is_described_by_name(rpc: NotifyRpc) -> None:
    answer = await rpc.channels.ListChannelTypes(api.ListChannelTypesRequest())

    assert sorted(ALL) == [each.name for each in answer.channel_types]
    assert {field.name for field in Channel.DESCRIPTOR.oneofs_by_name["config"].fields} == set(ALL)
    for each in answer.channel_types:
        assert each.display_name
        assert each.description.endswith(".")
        assert each.available or each.name == "apprise"
        for field in each.fields:
            assert field.description.endswith(".")
            assert field.type != channel_type_pb2.CONFIG_FIELD_TYPE_UNSPECIFIED


async def test_a_description_names_fields_of_the_contract_and_all_of_them(rpc: NotifyRpc) -> None:
    for name in ALL:
        of_contract = {
            field.name
            for field in getattr(Channel(), name).DESCRIPTOR.fields
            if not field.name.endswith(("_set", "_count", "_expire_time"))
        }

        assert of_contract == {field.name for field in (await described(rpc, name)).fields}


async def test_types_tell_what_they_can_do(rpc: NotifyRpc) -> None:
    slack, pagerduty = await described(rpc, "slack"), await described(rpc, "pagerduty")

    assert (True, False, 10) == (
        slack.carries_digests,
        slack.tracks_state,
        slack.default_rate_limit.burst,
    )
    assert (False, True, True) == (
        pagerduty.carries_digests,
        pagerduty.tracks_state,
        pagerduty.deduplicates,
    )
    assert not pagerduty.HasField("default_rate_limit")


@pytest.mark.parametrize("name", ALL)
async def test_every_type_is_created_from_its_description_alone_and_no_secret_comes_back(
    rpc: NotifyRpc, receiver: Receiver, name: str
) -> None:
    wanted = await filled(rpc, name, receiver.url)

    created = await create(rpc, wanted)
    read = await rpc.channels.GetChannel(api.GetChannelRequest(channel_id=created.channel_id))

    assert name == created.WhichOneof("config")
    assert created == read.channel
    for field in (await described(rpc, name)).fields:
        given, kept = (getattr(getattr(each, name), field.name) for each in (wanted, created))
        if field.secret:
            assert not kept
        elif given:
            assert given == kept
    assert SECRET_WORD not in str(created)


@pytest.mark.parametrize("name", [each for each in ALL if each not in {"webhook", "console"}])
async def test_what_a_type_requires_is_asked_for_all_at_once(rpc: NotifyRpc, name: str) -> None:
    channel = Channel(display_name="on call")
    getattr(channel, name).SetInParent()

    refusal = await refusal_of(create(rpc, channel))

    required = {field.name for field in (await described(rpc, name)).fields if field.required}
    assert {f"channel.{name}.{each}" for each in required} == set(refusal.violations)


@pytest.mark.parametrize("name", BY_HTTP)
async def test_a_test_uses_the_path_of_a_delivery_and_returns_what_the_far_side_said(
    rpc: NotifyRpc, receiver: Receiver, name: str
) -> None:
    created = await create(rpc, await filled(rpc, name, receiver.url))
    test = api.TestChannelRequest(channel_id=created.channel_id)

    fine = (await rpc.channels.TestChannel(test)).attempt
    receiver.always = Answer(503, body=b"not today")
    failed = (await rpc.channels.TestChannel(test)).attempt

    assert (ATTEMPT_OUTCOME_DELIVERED, ATTEMPT_OUTCOME_RETRY) == (fine.outcome, failed.outcome)
    assert 2 == len(receiver.requests)
    assert b"TEST: this channel works" in receiver.requests[0].body or name == "webhook"
    if name != "apprise":
        assert (200, 503) == (fine.status_code, failed.status_code)
        assert ("200 OK: taken in", "503 Service Unavailable: not today") == (
            fine.detail,
            failed.detail,
        )


@pytest.mark.parametrize("name", BY_HTTP)
async def test_a_secret_that_is_not_given_stays(
    rpc: NotifyRpc, receiver: Receiver, name: str
) -> None:
    created = await create(rpc, await filled(rpc, name, receiver.url))

    again = await update(rpc, created, name, "enabled")
    tried = await rpc.channels.TestChannel(api.TestChannelRequest(channel_id=created.channel_id))

    assert (created.version, created) == (again.version, again)
    assert ATTEMPT_OUTCOME_DELIVERED == tried.attempt.outcome


@pytest.mark.parametrize(
    ("name", "secret", "follows"),
    [
        ("ntfy", "token", "server_url"),
        ("telegram", "bot_token", "api_url"),
        ("gotify", "token", "server_url"),
        ("pagerduty", "routing_key", "events_url"),
        ("alertmanager", "bearer_token", "url"),
    ],
)
async def test_a_secret_goes_to_no_other_server(
    rpc: NotifyRpc, receiver: Receiver, name: str, secret: str, follows: str
) -> None:
    wanted = await filled(rpc, name, receiver.url)
    setattr(getattr(wanted, name), secret, "0123456789:s3cr3t")
    created = await create(rpc, wanted)
    moved = Channel(channel_id=created.channel_id)
    setattr(getattr(moved, name), follows, "https://thief.example.net")

    refusal = await refusal_of(update(rpc, moved, f"{name}.{follows}"))
    setattr(getattr(moved, name), secret, "123:another")
    changed = await update(rpc, moved, f"{name}.{follows}", f"{name}.{secret}")

    assert {f"channel.{name}.{secret}"} == set(refusal.violations)
    assert f"must be given again when {follows} changes" in str(refusal.violations)
    assert "https://thief.example.net" == getattr(getattr(changed, name), follows)
    assert getattr(getattr(changed, name), f"{secret}_set")


@pytest.mark.parametrize(
    ("name", "field", "value", "said"),
    [
        ("slack", "webhook_url", "http://10.0.0.1/services/s3cr3t", "not a public address"),
        ("slack", "webhook_url", "ftp://a.example.com/s3cr3t", "must begin with https://"),
        ("ntfy", "topic", "not a topic", "must match"),
        ("ntfy", "server_url", "https://ntfy.example.com/?auth=s3cr3t", "must match"),
        ("telegram", "bot_token", "s3cr3t", "must match"),
        ("telegram", "message_thread_id", -1, "is -1; write 0 to"),
        ("gotify", "token", "s3cr3t\r\nX-Other: 1", "control characters"),
        ("pagerduty", "routing_key", "s3cr3t" * 11, "has 66 characters"),
        ("alertmanager", "username", "a:b", "must match"),
        ("apprise", "urls", ["json://a.example.com", "s3cr3t"], "must match"),
        ("apprise", "urls", ["json://a.example.com"] * 21, "has 21 entries; write 1 to 20"),
    ],
)
async def test_a_bad_field_is_told_without_repeating_a_secret(
    rpc: NotifyRpc, name: str, field: str, value: Any, said: str
) -> None:
    channel = await filled(rpc, name, "https://far.example.com")
    config = getattr(channel, name)
    if isinstance(value, list):
        del getattr(config, field)[:]
        getattr(config, field).extend(value)
    else:
        setattr(config, field, value)

    refusal = await refusal_of(create(rpc, channel))

    (path,) = refusal.violations
    assert path.startswith(f"channel.{name}.{field}")
    assert said in refusal.violations[path]
    assert "s3cr3t" not in str(refusal)


async def test_an_optional_secret_is_taken_away_by_name_and_a_required_one_is_not(
    rpc: NotifyRpc, receiver: Receiver
) -> None:
    wanted = await filled(rpc, "ntfy", receiver.url)
    wanted.ntfy.token = "tk_0123456789"
    ntfy = await create(rpc, wanted)
    slack = await create(rpc, await filled(rpc, "slack", receiver.url))

    without = await update(rpc, Channel(channel_id=ntfy.channel_id), "ntfy.token")
    refusal = await refusal_of(
        update(rpc, Channel(channel_id=slack.channel_id), "slack.webhook_url")
    )

    assert (True, False) == (ntfy.ntfy.token_set, without.ntfy.token_set)
    assert {"channel.slack.webhook_url"} == set(refusal.violations)


async def test_an_alertmanager_is_logged_in_to_in_one_way(
    rpc: NotifyRpc, receiver: Receiver
) -> None:
    wanted = await filled(rpc, "alertmanager", receiver.url)
    wanted.alertmanager.bearer_token = "a token"
    by_token = await create(rpc, wanted)
    both = Channel(channel_id=by_token.channel_id)
    both.alertmanager.username = "tocsin"

    alone = await refusal_of(update(rpc, both, "alertmanager.username"))
    both.alertmanager.password = "correct horse"
    by_name = await update(rpc, both, "alertmanager.username", "alertmanager.password")
    too_much = await refusal_of(
        create(
            rpc,
            Channel(
                display_name="x",
                alertmanager=AlertmanagerConfig(
                    url=receiver.url, username="u", password="p", bearer_token="t"
                ),
            ),
        )
    )

    assert {"channel.alertmanager.password"} == set(alone.violations)
    assert {"channel.alertmanager.bearer_token"} == set(too_much.violations)
    assert (False, True) == (
        by_token.alertmanager.password_set,
        by_token.alertmanager.bearer_token_set,
    )
    assert (True, False) == (
        by_name.alertmanager.password_set,
        by_name.alertmanager.bearer_token_set,
    )


async def test_a_rate_limit_is_kept_changed_and_taken_back(rpc: NotifyRpc) -> None:
    channel = Channel(display_name="on call", webhook=WebhookConfig(url="https://a.example.com"))
    channel.rate_limit.CopyFrom(RateLimit(burst=3, refill_period=Duration(seconds=90)))
    created = await create(rpc, channel)
    unlimited = Channel(channel_id=created.channel_id, rate_limit=RateLimit(burst=0))

    changed = await update(rpc, unlimited, "rate_limit")
    default = await update(rpc, Channel(channel_id=created.channel_id), "rate_limit")

    assert (3, timedelta(seconds=90)) == (
        created.rate_limit.burst,
        created.rate_limit.refill_period.ToTimedelta(),
    )
    assert changed.HasField("rate_limit")
    assert 0 == changed.rate_limit.burst
    assert not default.HasField("rate_limit")


@pytest.mark.parametrize(
    ("limit", "field"),
    [
        (RateLimit(burst=-1), "burst"),
        (RateLimit(burst=10_001), "burst"),
        (RateLimit(burst=1), "refill_period"),
        (RateLimit(burst=1, refill_period=Duration(nanos=1_000_000)), "refill_period"),
        (RateLimit(burst=1, refill_period=Duration(seconds=86_401)), "refill_period"),
    ],
)
async def test_a_rate_limit_has_bounds(rpc: NotifyRpc, limit: RateLimit, field: str) -> None:
    channel = Channel(
        display_name="on call",
        webhook=WebhookConfig(url="https://a.example.com"),
        rate_limit=limit,
    )

    refusal = await refusal_of(create(rpc, channel))

    assert {f"channel.rate_limit.{field}"} == set(refusal.violations)


async def test_a_type_whose_package_is_not_there_says_what_to_install(
    rpc: NotifyRpc, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tocsin.notify.channels.catalogue.find_spec", lambda _: None)

    refusal = await refusal_of(create(rpc, await filled(rpc, "apprise", "http://a.example.com")))
    apprise = await described(rpc, "apprise")

    assert grpc.StatusCode.FAILED_PRECONDITION is refusal.code
    assert "CHANNEL_TYPE_UNAVAILABLE" == refusal.reason
    assert not apprise.available
    assert "Install requirements/apprise.txt" in apprise.unavailable_reason


async def test_a_channel_that_a_route_names_is_not_deleted(
    rpc: NotifyRpc, notify_database: Database, receiver: Receiver
) -> None:
    created = await create(rpc, await filled(rpc, "slack", receiver.url))
    async with notify_database.connection() as connection:
        await connection.execute(
            """
            INSERT INTO routes (route_id, position, display_name, enabled, channel_ids, config,
                                version, create_time, update_time)
            VALUES (gen_random_uuid(), 1, 'nights', true, ARRAY[$1::uuid], '{}', 1, now(), now())
            """,
            created.channel_id,
        )

    refusal = await refusal_of(
        rpc.channels.DeleteChannel(api.DeleteChannelRequest(channel_id=created.channel_id))
    )

    assert grpc.StatusCode.FAILED_PRECONDITION is refusal.code
    assert "CHANNEL_IN_USE" == refusal.reason
    assert "Routes name the channel: 'nights'." in refusal.message


async def test_the_health_of_channels_is_told(rpc: NotifyRpc, receiver: Receiver) -> None:
    created = await create(rpc, await filled(rpc, "slack", receiver.url))

    answer = await rpc.channels.ListChannelHealth(api.ListChannelHealthRequest())

    assert [created.channel_id] == [each.channel_id for each in answer.channels]
