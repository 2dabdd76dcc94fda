"""Which alert, channel or the like is meant: by its id, or by a part that is unique.

Ids are UUIDv7: they begin with the time, so those of one minute begin alike and differ at their
end. Tables therefore show the end, and either end names a thing; so does the beginning of what is
shown.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

from tocsin.cli.exits import CommandError, wrong_usage
from tocsin.cli.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tocsin.api.alert.v1.alert_pb2 import Alert
    from tocsin.cli.session import Session

_LEAST = 4
_SHOWN = 8
_SEARCHED = 10_000
_CANDIDATES = 10
_PART = re.compile(r"[0-9a-f-]+")
_PAGE = 1_000


_T = TypeVar("_T")


def short_id(full: str) -> str:
    """Return the part of an id that tables show."""
    return full[-_SHOWN:]


def alert_id(session: Session, given: str) -> str:
    """Return the id of the alert that is meant. Those not resolved come first.

    Raises CommandError when it is none, or several, which it then lists.
    """
    full = _whole(given)
    if full:
        return full
    part = _part("ALERT", given, "tocsin list")
    present = session.alerts.list_alerts(page_size=_PAGE)
    past = session.alerts.list_alerts(statuses=["resolved"], page_size=_PAGE)
    for alerts in (present, past):
        found = _ending(part, alerts, lambda alert: alert.alert_id)
        if found:
            return _only("alert", given, found, lambda a: a.alert_id, _alert_line).alert_id
    raise _unknown("alert", given)


def delivery_id(session: Session, given: str) -> str:
    """Return the id of the delivery that is meant. Raises CommandError as `alert_id` does."""
    full = _whole(given)
    if full:
        return full
    part = _part("DELIVERY", given, "tocsin delivery list")
    deliveries = session.notify.list_deliveries(page_size=_PAGE)
    found = _ending(part, deliveries, lambda delivery: delivery.delivery_id)
    return _only(
        "delivery",
        given,
        found,
        lambda d: d.delivery_id,
        lambda d: f"{d.event_type} to {d.channel_display_name}",
    ).delivery_id


def channel_id(session: Session, given: str) -> str:
    """Return the id of the channel that is meant, by its name or id. Raises CommandError."""
    full = _whole(given)
    if full:
        return full
    channels = list(session.notify.list_channels(page_size=_PAGE))
    named = [channel for channel in channels if channel.display_name == given]
    part = given.strip().lower()
    found = named or (
        _ending(part, channels, lambda channel: channel.channel_id) if len(part) >= _LEAST else []
    )
    if not found and channels:
        names = ", ".join(one_line(channel.display_name) for channel in channels)
        raise CommandError(f"No channel is called {given!r}. There are: {names}.")
    return _only(
        "channel", given, found, lambda c: c.channel_id, lambda c: c.display_name
    ).channel_id


def route_id(session: Session, given: str) -> str:
    """Return the id of the route that is meant, by its name or id. Raises CommandError."""
    full = _whole(given)
    if full:
        return full
    routes = list(session.notify.list_routes().routes)
    part = given.strip().lower()
    named = [route for route in routes if route.display_name == given]
    ending = _ending(part, routes, lambda route: route.route_id) if len(part) >= _LEAST else []
    if not named and not ending:
        names = ", ".join(one_line(route.display_name) for route in routes)
        there_are = f"There are: {names}." if routes else "There are none."
        raise CommandError(f"No route is called {given!r}. {there_are}")
    return _only(
        "route", given, named or ending, lambda r: r.route_id, lambda r: r.display_name
    ).route_id


def silence_id(session: Session, given: str) -> str:
    """Return the id of the silence that is meant. Raises CommandError as `alert_id` does."""
    full = _whole(given)
    if full:
        return full
    part = _part("SILENCE", given, "tocsin silence list")
    silences = session.notify.list_silences(include_expired=True, page_size=_PAGE)
    found = _ending(part, silences, lambda silence: silence.silence_id)
    return _only("silence", given, found, lambda s: s.silence_id, lambda s: s.reason).silence_id


def _whole(given: str) -> str:
    try:
        return str(UUID(given.strip()))
    except ValueError:
        return ""


def _part(argument: str, given: str, listing: str) -> str:
    part = given.strip().lower()
    if len(part) < _LEAST or not _PART.fullmatch(part):
        raise wrong_usage(
            f"{argument}: {given!r} is no id; write it whole, or at least {_LEAST} characters of "
            f"its end or beginning, as `{listing}` shows them."
        )
    return part


def _ending(part: str, things: Iterable[_T], id_of: Callable[[_T], str]) -> list[_T]:
    return [thing for thing in islice(things, _SEARCHED) if _is_of(part, id_of(thing))]


def _is_of(part: str, full: str) -> bool:
    return full.endswith(part) or full.startswith(part) or short_id(full).startswith(part)


def _only(
    noun: str,
    given: str,
    found: list[_T],
    id_of: Callable[[_T], str],
    describe: Callable[[_T], str],
) -> _T:
    if not found:
        raise _unknown(noun, given)
    if len(found) > 1:
        told = [f"  {id_of(thing)}  {one_line(describe(thing))}" for thing in found[:_CANDIDATES]]
        left_out = len(found) - len(told)
        more = [f"  … and {left_out} more"] if left_out else []
        head = f"{given!r} fits {len(found)} of them. Write more of the id:"
        raise CommandError("\n".join([head, *told, *more]))
    return found[0]


def _unknown(noun: str, given: str) -> CommandError:
    return CommandError(
        f"No {noun} among the latest {_SEARCHED:,} has an id that begins or ends with {given!r}. "
        "An older one is found by its whole id."
    )


def _alert_line(alert: Alert) -> str:
    return " ".join(part for part in (alert.host_id, alert.kind, alert.dedup_key) if part)
