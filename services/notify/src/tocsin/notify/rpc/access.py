"""Who may call what of tocsin-notify. A method that is not here is for nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.common.identity.roles import Role, only

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tocsin.common.identity.roles import Rule

_PACKAGE = "/tocsin.api.notify.v1"
_STEERS = only(Role.OPERATOR)

RULES: Mapping[str, Rule] = {
    f"{_PACKAGE}.ChannelService/CreateChannel": _STEERS,
    f"{_PACKAGE}.ChannelService/GetChannel": _STEERS,
    f"{_PACKAGE}.ChannelService/ListChannels": _STEERS,
    f"{_PACKAGE}.ChannelService/UpdateChannel": _STEERS,
    f"{_PACKAGE}.ChannelService/DeleteChannel": _STEERS,
    f"{_PACKAGE}.ChannelService/TestChannel": _STEERS,
    f"{_PACKAGE}.ChannelService/ListChannelTypes": _STEERS,
    f"{_PACKAGE}.ChannelService/ListChannelHealth": _STEERS,
    f"{_PACKAGE}.RouteService/CreateRoute": _STEERS,
    f"{_PACKAGE}.RouteService/GetRoute": _STEERS,
    f"{_PACKAGE}.RouteService/ListRoutes": _STEERS,
    f"{_PACKAGE}.RouteService/UpdateRoute": _STEERS,
    f"{_PACKAGE}.RouteService/DeleteRoute": _STEERS,
    f"{_PACKAGE}.RouteService/ReorderRoutes": _STEERS,
    f"{_PACKAGE}.RouteService/SimulateRoutes": _STEERS,
    f"{_PACKAGE}.SilenceService/CreateSilence": _STEERS,
    f"{_PACKAGE}.SilenceService/GetSilence": _STEERS,
    f"{_PACKAGE}.SilenceService/ListSilences": _STEERS,
    f"{_PACKAGE}.SilenceService/ExpireSilence": _STEERS,
    f"{_PACKAGE}.DeliveryService/ListDeliveries": _STEERS,
    f"{_PACKAGE}.DeliveryService/GetDelivery": _STEERS,
    f"{_PACKAGE}.DeliveryService/RedeliverDelivery": _STEERS,
    f"{_PACKAGE}.DeliveryService/RedeliverDeliveries": _STEERS,
    f"{_PACKAGE}.DeliveryService/ExplainAlert": _STEERS,
}
"""By the full names of the methods, as gRPC writes them."""
