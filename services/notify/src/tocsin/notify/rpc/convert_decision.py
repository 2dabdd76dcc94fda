"""Decisions as callers see them, and what a reason speaks of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.api.notify.v1 import decision_pb2, delivery_service_pb2
from tocsin.common.rpc.times import to_timestamp
from tocsin.notify.domain.decision import DecisionReason

if TYPE_CHECKING:
    from uuid import UUID

    from tocsin.notify.rpc.explanation import Explained, Reasoned, Summary

_TOLD_BY = (DecisionReason.CARRIED, DecisionReason.COLLAPSED, DecisionReason.BEHIND)


def explained_to_stub(explained: Explained) -> delivery_service_pb2.ExplainAlertResponse:
    """Return an explanation as callers see it."""
    return delivery_service_pb2.ExplainAlertResponse(
        decisions=[_decision(each) for each in explained.decisions],
        summaries=[_summary(each) for each in explained.summaries],
        truncated=explained.truncated,
    )


def held_by(reason: DecisionReason, by: UUID | None) -> dict[str, str]:
    """Return the field that says what a reason speaks of: empty when it speaks of nothing."""
    if by is None:
        return {}
    if reason is DecisionReason.SILENCED:
        return {"silence_id": str(by)}
    if reason is DecisionReason.EXPLAINED:
        return {"explaining_alert_id": str(by)}
    return {"told_by_delivery_id": str(by)} if reason in _TOLD_BY else {}


def _decision(each: Reasoned) -> decision_pb2.Decision:
    return decision_pb2.Decision(
        time=to_timestamp(each.time),
        reason=decision_pb2.DecisionReason.ValueType(each.reason),
        text=each.text,
        event_id=_text(each.event_id),
        event_type=each.event_type,
        channel_id=_text(each.channel_id),
        delivery_id=_text(each.delivery_id),
        route_id=_text(each.route_id),
        until_time=None if each.until is None else to_timestamp(each.until),
        attempt_number=each.attempt_number,
        **held_by(each.reason, each.by),
    )


def _summary(each: Summary) -> delivery_service_pb2.ChannelSummary:
    return delivery_service_pb2.ChannelSummary(
        channel_id=str(each.channel.channel_id),
        channel_display_name=each.channel.display_name,
        maybe_told=each.channel.maybe_told,
        text=each.text,
    )


def _text(value: UUID | None) -> str:
    return "" if value is None else str(value)
