"""From our routes to the contract's messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.api.notify.v1 import matcher_pb2, route_pb2
from tocsin.common.rpc.times import to_timestamp
from tocsin.notify.rpc.convert_condition import matcher_to_stub, recurrence_to_stub
from tocsin.notify.rpc.lengths import to_duration
from tocsin.notify.rpc.route_rules import DAYS

if TYPE_CHECKING:
    from tocsin.notify.domain.route import QuietHours, Reminders, Route


def route_to_stub(route: Route) -> route_pb2.Route:
    """Return a route as callers see it."""
    stub = route_pb2.Route(
        route_id=str(route.route_id),
        display_name=route.display_name,
        position=route.position,
        enabled=route.enabled,
        matchers=[matcher_to_stub(matcher) for matcher in route.matchers],
        channel_ids=[str(channel_id) for channel_id in route.channel_ids],
        continue_matching=route.continue_matching,
        min_severity="" if route.min_severity is None else route.min_severity.name.lower(),
        group_by=[
            route_pb2.GroupField(field=matcher_pb2.MatchField.ValueType(one.field), label=one.label)
            for one in route.group_by
        ],
        max_group_size=route.max_group_size,
        version=route.version,
    )
    if route.group_wait:
        stub.group_wait.CopyFrom(to_duration(route.group_wait))
    if route.reminders is not None:
        stub.reminders.CopyFrom(_reminders(route.reminders))
    if route.quiet_hours is not None:
        stub.quiet_hours.CopyFrom(_quiet_hours(route.quiet_hours))
    if route.proof is not None:
        stub.proof.CopyFrom(recurrence_to_stub(route.proof))
    if route.create_time is not None:
        stub.create_time.CopyFrom(to_timestamp(route.create_time))
    if route.update_time is not None:
        stub.update_time.CopyFrom(to_timestamp(route.update_time))
    return stub


def _reminders(reminders: Reminders) -> route_pb2.Reminders:
    return route_pb2.Reminders(
        first_after=to_duration(reminders.first_after),
        factor=reminders.factor,
        longest_pause=to_duration(reminders.longest_pause),
        max_count=reminders.max_count,
    )


def _quiet_hours(quiet: QuietHours) -> route_pb2.QuietHours:
    return route_pb2.QuietHours(
        time_zone=quiet.time_zone,
        start=quiet.start.isoformat("minutes"),
        end=quiet.end.isoformat("minutes"),
        days=[DAYS[day] for day in quiet.days],
    )
