"""The asyncio client of the notify service."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from tocsin.api.notify.v1.channel_service_pb2_grpc import ChannelServiceStub
from tocsin.api.notify.v1.delivery_service_pb2_grpc import DeliveryServiceStub
from tocsin.client import notify_requests as requests
from tocsin.client.retry import single_attempt
from tocsin.client.steering_aio import SteeringCalls

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from datetime import datetime
    from uuid import UUID

    import grpc.aio

    from tocsin.api.notify.v1 import channel_service_pb2 as channel_pb
    from tocsin.api.notify.v1 import delivery_service_pb2 as delivery_pb
    from tocsin.api.notify.v1.channel_health_pb2 import ChannelHealth
    from tocsin.api.notify.v1.channel_pb2 import Channel
    from tocsin.api.notify.v1.channel_type_pb2 import ChannelType
    from tocsin.api.notify.v1.delivery_pb2 import Attempt, Delivery
    from tocsin.client.retry import RetryPolicy
    from tocsin.common.rpc.client_credentials import ClientCredentials

TEST_TIMEOUT = timedelta(seconds=30)  # a test waits for the far side


class NotifyClient(SteeringCalls):
    """Keeps channels, routes and silences, shows deliveries and sends them again.

    Every method raises CallError. What is idempotent is retried; what is not (create, delete,
    test, redeliver, an update that names a version) is tried once.

    Example:
        >>> async with NotifyClient("127.0.0.1:7071") as notify:
        ...     async for delivery in notify.list_deliveries(states=["dead"]):
        ...         await notify.redeliver(delivery.delivery_id)
    """

    def __init__(
        self,
        target: str | grpc.aio.Channel,
        *,
        retry: RetryPolicy | None = None,
        credentials: ClientCredentials | None = None,
    ) -> None:
        super().__init__(target, retry=retry, credentials=credentials)
        self._channels = ChannelServiceStub(self.channel)
        self._deliveries = DeliveryServiceStub(self.channel)

    async def create_channel(self, channel: Channel) -> channel_pb.CreateChannelResponse:
        """Create a channel. The answer shows a generated signing secret, once.

        Raises AlreadyExistsError (CHANNEL_NAME_TAKEN).
        """
        request = requests.create_channel(channel)
        return await self._call(self._channels.CreateChannel, request, self._once)

    async def get_channel(self, channel_id: str | UUID) -> Channel:
        """Return one channel. Raises NotFoundError."""
        request = requests.get_channel(channel_id)
        answer = await self._call(self._channels.GetChannel, request)
        return answer.channel

    async def list_channels_page(
        self, *, page_size: int = 0, page_token: str = ""
    ) -> channel_pb.ListChannelsResponse:
        """Return one page of channels, by display_name."""
        request = requests.list_channels(page_size=page_size, page_token=page_token)
        return await self._call(self._channels.ListChannels, request)

    async def list_channels(self, *, page_size: int = 0) -> AsyncIterator[Channel]:
        """Walk over all channels, by display_name."""
        request = requests.list_channels(page_size=page_size)
        async for page in self._pages(self._channels.ListChannels, request):
            for channel in page.channels:
                yield channel

    async def list_channel_health(self, channel_id: str | UUID = "") -> list[ChannelHealth]:
        """Return whether one channel works, or all of them do, by display_name.

        Raises NotFoundError.
        """
        request = requests.list_channel_health(channel_id)
        answer = await self._call(self._channels.ListChannelHealth, request)
        return list(answer.channels)

    async def list_channel_types(self) -> list[ChannelType]:
        """Return what types of channels there are, by name, and which the server lacks."""
        request = requests.list_channel_types()
        answer = await self._call(self._channels.ListChannelTypes, request)
        return list(answer.channel_types)

    async def update_channel(self, channel: Channel, fields: Iterable[str]) -> Channel:
        """Change the named fields, such as `enabled` or `webhook.url`, and return the channel.

        Raises NotFoundError, AlreadyExistsError, and AbortedError when `channel.version` is not 0
        and not the present one.
        """
        request = requests.update_channel(channel, fields)
        retry = self._once if channel.version else None
        answer = await self._call(self._channels.UpdateChannel, request, retry)
        return answer.channel

    async def delete_channel(self, channel_id: str | UUID) -> channel_pb.DeleteChannelResponse:
        """Delete a channel. Raises NotFoundError."""
        request = requests.delete_channel(channel_id)
        return await self._call(self._channels.DeleteChannel, request, self._once)

    async def test_channel(self, channel_id: str | UUID) -> Attempt:
        """Send a test message now and return what the far side answered."""
        retry = single_attempt(self._retry, TEST_TIMEOUT)
        request = requests.test_channel(channel_id)
        answer = await self._call(self._channels.TestChannel, request, retry)
        return answer.attempt

    async def list_deliveries_page(
        self,
        *,
        channel_id: str | UUID = "",
        alert_id: str | UUID = "",
        states: Iterable[str | int] = (),
        page_size: int = 0,
        page_token: str = "",
    ) -> delivery_pb.ListDeliveriesResponse:
        """Return one page of deliveries, the latest first."""
        request = requests.list_deliveries(
            channel_id=channel_id,
            alert_id=alert_id,
            states=states,
            page_size=page_size,
            page_token=page_token,
        )
        return await self._call(self._deliveries.ListDeliveries, request)

    async def list_deliveries(
        self,
        *,
        channel_id: str | UUID = "",
        alert_id: str | UUID = "",
        states: Iterable[str | int] = (),
        page_size: int = 0,
    ) -> AsyncIterator[Delivery]:
        """Walk over deliveries, page by page, the latest first."""
        request = requests.list_deliveries(
            channel_id=channel_id, alert_id=alert_id, states=states, page_size=page_size
        )
        async for page in self._pages(self._deliveries.ListDeliveries, request):
            for delivery in page.deliveries:
                yield delivery

    async def get_delivery(self, delivery_id: str | UUID) -> delivery_pb.GetDeliveryResponse:
        """Return one delivery with its attempts. Raises NotFoundError."""
        request = requests.get_delivery(delivery_id)
        return await self._call(self._deliveries.GetDelivery, request)

    async def redeliver(self, delivery_id: str | UUID) -> Delivery:
        """Send a finished delivery once more. Raises FailedPreconditionError, NotFoundError."""
        request = requests.redeliver(delivery_id)
        answer = await self._call(self._deliveries.RedeliverDelivery, request, self._once)
        return answer.delivery

    async def redeliver_all(
        self,
        settled_after_time: datetime,
        *,
        settled_before_time: datetime | None = None,
        channel_id: str | UUID = "",
        states: Iterable[str | int] = (),
        reasons: Iterable[str | int] = (),
        limit: int = 0,
        dry_run: bool = False,
    ) -> delivery_pb.RedeliverDeliveriesResponse:
        """Send what was given up since a time once more; with `dry_run` only count it.

        It is tried once: the answer counts what this call sends again.
        """
        request = requests.redeliver_all(
            settled_after_time,
            settled_before_time=settled_before_time,
            channel_id=channel_id,
            states=states,
            reasons=reasons,
            limit=limit,
            dry_run=dry_run,
        )
        retry = None if dry_run else self._once
        return await self._call(self._deliveries.RedeliverDeliveries, request, retry)

    async def explain_alert(
        self, alert_id: str | UUID, *, channel_id: str | UUID = ""
    ) -> delivery_pb.ExplainAlertResponse:
        """Return why an alert was told, or not: every decision. Raises NotFoundError."""
        request = requests.explain_alert(alert_id, channel_id=channel_id)
        return await self._call(self._deliveries.ExplainAlert, request)
