"""The requests of the notify service, built from plain Python arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.field_mask_pb2 import FieldMask

from tocsin.api.notify.v1 import channel_service_pb2, delivery_pb2, delivery_service_pb2
from tocsin.client.values import enum_values

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from tocsin.api.notify.v1.channel_pb2 import Channel


def create_channel(channel: Channel) -> channel_service_pb2.CreateChannelRequest:
    """Build a channel to create."""
    return channel_service_pb2.CreateChannelRequest(channel=channel)


def get_channel(channel_id: str | UUID) -> channel_service_pb2.GetChannelRequest:
    """Ask for one channel."""
    return channel_service_pb2.GetChannelRequest(channel_id=str(channel_id))


def list_channels(
    *, page_size: int = 0, page_token: str = ""
) -> channel_service_pb2.ListChannelsRequest:
    """Ask for a page of channels."""
    return channel_service_pb2.ListChannelsRequest(page_size=page_size, page_token=page_token)


def update_channel(
    channel: Channel, fields: Iterable[str]
) -> channel_service_pb2.UpdateChannelRequest:
    """Build a change of the named fields, such as `enabled` or `webhook.url`.

    `channel.channel_id` says which channel; with a `channel.version` the change is made only if
    the channel still has that version. Raises ValueError when no field is named.
    """
    mask = FieldMask(paths=fields)
    if not mask.paths:
        raise ValueError("fields: name what to change, for example enabled or webhook.url")
    return channel_service_pb2.UpdateChannelRequest(channel=channel, update_mask=mask)


def delete_channel(channel_id: str | UUID) -> channel_service_pb2.DeleteChannelRequest:
    """Name a channel to delete."""
    return channel_service_pb2.DeleteChannelRequest(channel_id=str(channel_id))


def test_channel(channel_id: str | UUID) -> channel_service_pb2.TestChannelRequest:
    """Name a channel to test."""
    return channel_service_pb2.TestChannelRequest(channel_id=str(channel_id))


def list_deliveries(
    *,
    channel_id: str | UUID = "",
    alert_id: str | UUID = "",
    states: Iterable[str | int] = (),
    page_size: int = 0,
    page_token: str = "",
) -> delivery_service_pb2.ListDeliveriesRequest:
    """Ask for a page of deliveries.

    `states` are of `pending`, `sending`, `delivered`, `suppressed`, `dead`; none means all.
    """
    return delivery_service_pb2.ListDeliveriesRequest(
        channel_id=str(channel_id),
        alert_id=str(alert_id),
        states=enum_values("states", delivery_pb2.DeliveryState, states),
        page_size=page_size,
        page_token=page_token,
    )


def get_delivery(delivery_id: str | UUID) -> delivery_service_pb2.GetDeliveryRequest:
    """Ask for one delivery with its attempts."""
    return delivery_service_pb2.GetDeliveryRequest(delivery_id=str(delivery_id))


def redeliver(delivery_id: str | UUID) -> delivery_service_pb2.RedeliverDeliveryRequest:
    """Name a delivery to send once more."""
    return delivery_service_pb2.RedeliverDeliveryRequest(delivery_id=str(delivery_id))
