"""ChannelService: thin. The rules are in channel_rules, the rows in store."""

# ruff: noqa: ARG002, N802 - gRPC names the methods, and gives a context to each

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from tocsin.api.notify.v1 import channel_service_pb2 as api
from tocsin.api.notify.v1 import channel_service_pb2_grpc
from tocsin.common.errors import FailedPreconditionError, InvalidArgumentError, Violations
from tocsin.common.ids import uuid7
from tocsin.common.rpc.pages import page_token, read_page_token
from tocsin.common.rpc.validate import read_page_size, read_uuid
from tocsin.notify.channels.base import may_pass
from tocsin.notify.channels.catalogue import SPECS, unavailable_reason
from tocsin.notify.domain.channel import type_of
from tocsin.notify.domain.delivery import Attempt, Receipt
from tocsin.notify.rpc.acts import act_of
from tocsin.notify.rpc.channel_health import list_channel_health
from tocsin.notify.rpc.channel_rules import (
    changed_channel,
    check_fields,
    new_channel,
    read_mask,
)
from tocsin.notify.rpc.convert import attempt_to_stub, id_of
from tocsin.notify.rpc.convert_channel import (
    channel_to_stub,
    channel_type_to_stub,
    given_channel,
)
from tocsin.notify.rpc.trial import trial
from tocsin.notify.store.sealing import SecretsUnreadableError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from uuid import UUID

    import grpc

    from tocsin.common.clock import Clock
    from tocsin.common.ids import NewId
    from tocsin.notify.channels.address_guard import Network
    from tocsin.notify.channels.registry import Senders
    from tocsin.notify.domain.channel import ChannelConfig
    from tocsin.notify.store.channel_health import ChannelHealthStore
    from tocsin.notify.store.channels import ChannelStore

    Context = grpc.aio.ServicerContext[Any, Any]

_PAGES = b"ListChannels"


class ChannelService(channel_service_pb2_grpc.ChannelServiceServicer):
    """Keeps the channels.

    `on_change` is called after each committed change, so that what sends can look again.
    """

    def __init__(
        self,
        store: ChannelStore,
        health: ChannelHealthStore,
        senders: Senders,
        *,
        clock: Clock,
        on_change: Callable[[], None],
        allowed_networks: Sequence[Network] = (),
        new_id: NewId = uuid7,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._store = store
        self._health = health
        self._senders = senders
        self._clock = clock
        self._on_change = on_change
        self._allowed = tuple(allowed_networks)
        self._new_id = new_id
        self._random_bytes = random_bytes

    async def CreateChannel(
        self, request: api.CreateChannelRequest, context: Context
    ) -> api.CreateChannelResponse:
        wanted = new_channel(given_channel(request.channel), self._allowed, self._random_bytes)
        _require_available(wanted.config)
        channel = await self._store.create(
            wanted.display_name,
            wanted.config,
            wanted.secrets,
            enabled=wanted.enabled,
            rate_limit=wanted.rate_limit,
            act=act_of(context, "ChannelService/CreateChannel"),
        )
        self._on_change()
        return api.CreateChannelResponse(
            channel=channel_to_stub(channel, self._clock.now()),
            generated_signing_secret=wanted.generated_secret,
        )

    async def GetChannel(
        self, request: api.GetChannelRequest, context: Context
    ) -> api.GetChannelResponse:
        channel = await self._store.get(id_of("channel_id", request.channel_id))
        return api.GetChannelResponse(channel=channel_to_stub(channel, self._clock.now()))

    async def ListChannels(
        self, request: api.ListChannelsRequest, context: Context
    ) -> api.ListChannelsResponse:
        found = Violations()
        size = read_page_size(found, "page_size", request.page_size)
        place = read_page_token(found, "page_token", request.page_token, _PAGES, parts=1)
        found.raise_if_any()
        channels = await self._store.list_page(after=place[0] if place else None, limit=size + 1)
        shown, now = channels[:size], self._clock.now()
        return api.ListChannelsResponse(
            channels=[channel_to_stub(channel, now) for channel in shown],
            next_page_token=page_token(_PAGES, [shown[-1].display_name])
            if len(channels) > size
            else "",
        )

    async def UpdateChannel(
        self, request: api.UpdateChannelRequest, context: Context
    ) -> api.UpdateChannelResponse:
        given, found = given_channel(request.channel), Violations()
        channel_id = read_uuid(found, "channel.channel_id", given.channel_id)
        paths = read_mask(found, list(request.update_mask.paths), given)
        if given.version < 0:
            found.add("channel.version", "must not be negative; write the version read, or 0")
        check_fields(found, given, paths, self._allowed)
        if channel_id is None or found.found:
            raise InvalidArgumentError.of(found.found)
        channel = await self._store.update(
            channel_id,
            lambda present, open_secrets: changed_channel(
                present, given, paths, open_secrets, self._clock.now()
            ),
            expected_version=given.version or None,
            act=act_of(context, "ChannelService/UpdateChannel"),
        )
        self._on_change()
        return api.UpdateChannelResponse(channel=channel_to_stub(channel, self._clock.now()))

    async def DeleteChannel(
        self, request: api.DeleteChannelRequest, context: Context
    ) -> api.DeleteChannelResponse:
        act = act_of(context, "ChannelService/DeleteChannel")
        dead = await self._store.delete(id_of("channel_id", request.channel_id), act=act)
        self._on_change()
        return api.DeleteChannelResponse(dead_deliveries=dead)

    async def TestChannel(
        self, request: api.TestChannelRequest, context: Context
    ) -> api.TestChannelResponse:
        channel_id = id_of("channel_id", request.channel_id)
        # Before it is sent: whatever becomes of it, it may have been told.
        await self._store.note_trial(channel_id, act_of(context, "ChannelService/TestChannel"))
        begun = self._clock.now()
        receipt = await self._try(channel_id)
        attempt = Attempt(
            1, begun, self._clock.now(), receipt.outcome, receipt.status_code, receipt.detail
        )
        return api.TestChannelResponse(attempt=attempt_to_stub(attempt))

    async def ListChannelTypes(
        self, request: api.ListChannelTypesRequest, context: Context
    ) -> api.ListChannelTypesResponse:
        by_name = sorted(SPECS.values(), key=lambda spec: spec.type.value)
        return api.ListChannelTypesResponse(
            channel_types=[channel_type_to_stub(spec) for spec in by_name]
        )

    async def ListChannelHealth(
        self, request: api.ListChannelHealthRequest, context: Context
    ) -> api.ListChannelHealthResponse:
        return await list_channel_health(self._health, request)

    async def _try(self, channel_id: UUID) -> Receipt:
        try:
            channel, opened = await self._store.get_opened(channel_id)
        except SecretsUnreadableError as error:
            return may_pass(str(error))
        notification = trial(channel, self._clock.now(), self._new_id)
        return await self._senders.of(channel.type).send(notification, channel, opened)


def _require_available(config: ChannelConfig) -> None:
    reason = unavailable_reason(SPECS[type_of(config)])
    if reason:
        raise FailedPreconditionError(reason, reason="CHANNEL_TYPE_UNAVAILABLE")
