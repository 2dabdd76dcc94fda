"""Routes, and what they would do, as people read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from tocsin.cli.matcher_text import field_text, matcher_text
from tocsin.cli.output import as_json
from tocsin.cli.references import short_id
from tocsin.cli.times import moment_of, span, stamp

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tocsin.api.notify.v1.recurrence_pb2 import Recurrence
    from tocsin.api.notify.v1.route_pb2 import Route
    from tocsin.api.notify.v1.route_service_pb2 import SimulatedChannel
    from tocsin.cli.grid import Cell
    from tocsin.cli.session import Session

ROUTE_HEADINGS = ("PLACE", "ID", "NAME", "STATE", "CHANNELS", "WHEN")
SIMULATED_HEADINGS = ("CHANNEL", "EVENTS", "NEW", "HELD FIRST", "BY ROUTE")

_PAGE = 1_000


def tell_route(session: Session, route: Route) -> None:
    """Print one route."""
    if session.output.json_wanted:
        session.output.document({"route": as_json(route)})
        return
    session.output.fields(route_fields(route, channel_names(session)))


def channel_names(session: Session) -> dict[str, str]:
    """Return the names of the channels by their ids."""
    channels = session.notify.list_channels(page_size=_PAGE)
    return {channel.channel_id: channel.display_name for channel in channels}


def route_row(route: Route, names: Mapping[str, str]) -> list[Cell]:
    """Return the row of a route under ROUTE_HEADINGS."""
    return [
        str(route.position),
        short_id(route.route_id),
        route.display_name,
        _state(route),
        _channels(route, names),
        _when(route) + (", then the next" if route.continue_matching else ""),
    ]


def route_fields(route: Route, names: Mapping[str, str]) -> Iterator[tuple[str, str | Text]]:
    """Yield what there is to tell about a route, by name."""
    yield "route", route.route_id
    yield "name", route.display_name
    yield "place", str(route.position)
    yield "state", _state(route)
    yield "channels", _channels(route, names)
    yield "when", _when(route)
    yield "then", "the next routes are asked too" if route.continue_matching else ""
    yield "group", _group(route)
    yield "reminders", _reminders(route)
    yield "quiet", _quiet(route)
    yield "proof", recurrence_text(route.proof) if route.HasField("proof") else ""
    yield "created", stamp(moment_of(route.create_time))
    yield "changed", stamp(moment_of(route.update_time))


def simulated_row(told: SimulatedChannel) -> list[Cell]:
    """Return the row of a channel under SIMULATED_HEADINGS."""
    return [
        told.channel_display_name,
        f"{told.event_count:,}",
        f"{told.raised_count:,}",
        f"{told.held_count:,}",
        ", ".join(told.route_names) or "the default route",
    ]


def recurrence_text(recurrence: Recurrence) -> str:
    """Tell when something comes again: `30 7 * * *, Europe/Berlin`."""
    return f"{recurrence.cron or recurrence.on_calendar}, {recurrence.time_zone}"


def _state(route: Route) -> Text:
    if route.enabled:
        return Text("enabled", style="green")
    return Text("disabled", style="yellow")


def _channels(route: Route, names: Mapping[str, str]) -> str:
    return ", ".join(names.get(channel_id, channel_id) for channel_id in route.channel_ids)


def _when(route: Route) -> str:
    conditions = [matcher_text(matcher) for matcher in route.matchers]
    if route.min_severity:
        conditions.append(f"severity≥{route.min_severity}")
    return " and ".join(conditions) or "always"


def _group(route: Route) -> str:
    if not route.HasField("group_wait"):
        return ""
    shared = ", ".join(field_text(one.field, one.label) for one in route.group_by)
    wait = span(route.group_wait.ToTimedelta())
    return f"by {shared or 'route'}, waits {wait}, at most {route.max_group_size:,}"


def _reminders(route: Route) -> str:
    if not route.HasField("reminders"):
        return ""
    given = route.reminders
    first, longest = (
        span(given.first_after.ToTimedelta()),
        span(given.longest_pause.ToTimedelta()),
    )
    return f"after {first}, each pause x{given.factor:g} up to {longest}, at most {given.max_count}"


def _quiet(route: Route) -> str:
    if not route.HasField("quiet_hours"):
        return ""
    quiet = route.quiet_hours
    days = f" from {', '.join(quiet.days)}" if quiet.days else ""
    return f"{quiet.start}-{quiet.end}{days}, {quiet.time_zone}, unless critical"
