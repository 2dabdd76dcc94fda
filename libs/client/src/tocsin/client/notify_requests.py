"""The requests of the notify service, built from plain Python arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.field_mask_pb2 import FieldMask

from tocsin.api.notify.v1 import (
    channel_service_pb2,
    decision_pb2,
    delivery_pb2,
    delivery_service_pb2,
)
from tocsin.client.values import enum_values, timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
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


def list_channel_health(
    channel_id: str | UUID = "",
) -> channel_service_pb2.ListChannelHealthRequest:
    """Ask whether one channel works, or all of them."""
    return channel_service_pb2.ListChannelHealthRequest(channel_id=str(channel_id))


def list_channel_types() -> channel_service_pb2.ListChannelTypesRequest:
    """Ask what types of channels there are."""
    return channel_service_pb2.ListChannelTypesRequest()


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

    `states` are of `pending`, `sending`, `delivered`, `suppressed`, `dead`, `held`, `superseded`,
    `expired`; none means all.
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


def redeliver_all(
    settled_after_time: datetime,
    *,
    settled_before_time: datetime | None = None,
    channel_id: str | UUID = "",
    states: Iterable[str | int] = (),
    reasons: Iterable[str | int] = (),
    limit: int = 0,
    dry_run: bool = False,
) -> delivery_service_pb2.RedeliverDeliveriesRequest:
    """Say which deliveries to send once more: those that ended from a time on.

    `states` are of `dead`, `expired`; none means `dead`. `reasons` are of `refused`,
    `attempts_exhausted`, `channel_gone`, `too_late`; none means all. Times must be aware.
    """
    return delivery_service_pb2.RedeliverDeliveriesRequest(
        channel_id=str(channel_id),
        states=enum_values("states", delivery_pb2.DeliveryState, states),
        reasons=enum_values("reasons", decision_pb2.DecisionReason, reasons),
        settled_after_time=timestamp("settled_after_time", settled_after_time),
        settled_before_time=timestamp("settled_before_time", settled_before_time),
        limit=limit,
        dry_run=dry_run,
    )


def explain_alert(
    alert_id: str | UUID, *, channel_id: str | UUID = ""
) -> delivery_service_pb2.ExplainAlertRequest:
    """Ask why an alert was told, or not, by one channel or by all."""
    return delivery_service_pb2.ExplainAlertRequest(
        alert_id=str(alert_id), channel_id=str(channel_id)
    )
