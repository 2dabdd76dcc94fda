"""Rows of the table `routes`, and the routes that they stand for."""

from __future__ import annotations

import json
from datetime import time, timedelta
from typing import TYPE_CHECKING, Any

from tocsin.notify.domain.matcher import GroupField, MatchField
from tocsin.notify.domain.notification import Severity
from tocsin.notify.domain.route import QuietHours, Reminders, Route
from tocsin.notify.store.condition_documents import (
    matchers_document,
    matchers_of,
    recurrence_document,
    recurrence_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping


def route_of(row: Mapping[str, Any]) -> Route:
    """Return the route of a row."""
    config = json.loads(row["config"])
    severity = config["min_severity"]
    return Route(
        route_id=row["route_id"],
        position=row["position"],
        display_name=row["display_name"],
        enabled=row["enabled"],
        matchers=matchers_of(config["matchers"]),
        channel_ids=tuple(row["channel_ids"]),
        continue_matching=config["continue_matching"],
        min_severity=None if severity is None else Severity(severity),
        group_wait=timedelta(seconds=config["group_wait_seconds"]),
        group_by=tuple(
            GroupField(MatchField(one["field"]), one["label"]) for one in config["group_by"]
        ),
        max_group_size=config["max_group_size"],
        reminders=_reminders(config["reminders"]),
        quiet_hours=_quiet_hours(config["quiet_hours"]),
        proof=recurrence_of(config["proof"]),
        version=row["version"],
        create_time=row["create_time"],
        update_time=row["update_time"],
    )


def config_text(route: Route) -> str:
    """Return the column `config` of a route."""
    reminders, quiet = route.reminders, route.quiet_hours
    return json.dumps(
        {
            "matchers": matchers_document(route.matchers),
            "continue_matching": route.continue_matching,
            "min_severity": route.min_severity,
            "group_wait_seconds": route.group_wait.total_seconds(),
            "group_by": [{"field": one.field.value, "label": one.label} for one in route.group_by],
            "max_group_size": route.max_group_size,
            "reminders": reminders
            and {
                "first_after_seconds": reminders.first_after.total_seconds(),
                "factor": reminders.factor,
                "longest_pause_seconds": reminders.longest_pause.total_seconds(),
                "max_count": reminders.max_count,
            },
            "quiet_hours": quiet
            and {
                "time_zone": quiet.time_zone,
                "start": quiet.start.isoformat("minutes"),
                "end": quiet.end.isoformat("minutes"),
                "days": list(quiet.days),
            },
            "proof": recurrence_document(route.proof),
        }
    )


def _reminders(document: dict[str, Any] | None) -> Reminders | None:
    if document is None:
        return None
    return Reminders(
        first_after=timedelta(seconds=document["first_after_seconds"]),
        factor=document["factor"],
        longest_pause=timedelta(seconds=document["longest_pause_seconds"]),
        max_count=document["max_count"],
    )


def _quiet_hours(document: dict[str, Any] | None) -> QuietHours | None:
    if document is None:
        return None
    return QuietHours(
        time_zone=document["time_zone"],
        start=time.fromisoformat(document["start"]),
        end=time.fromisoformat(document["end"]),
        days=tuple(document["days"]),
    )
