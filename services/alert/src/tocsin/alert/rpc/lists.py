"""Requests for lists: from the request to what to look for and where to go on, or its refusal."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from tocsin.alert.domain.alert import Status
from tocsin.alert.rpc.observations import check_kind, read_severity
from tocsin.alert.store.listing import AlertFilter, Place
from tocsin.api.alert.v1 import alert_pb2
from tocsin.common.errors import Violations
from tocsin.common.rpc.pages import note_made_up, page_token, read_page_token
from tocsin.common.rpc.validate import (
    ID_CHARACTERS,
    check_texts,
    read_choice,
    read_page_size,
    read_uuid,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tocsin.alert.domain.alert import Alert
    from tocsin.api.alert.v1 import alert_service_pb2

FILTER_ENTRIES = 100

_STATUS_NAMES: dict[int, str] = {
    number: name for name, number in alert_pb2.AlertStatus.items() if number
}
_STANDING = frozenset({Status.OPEN, Status.ACKNOWLEDGED})
_NOBODY = UUID(int=0)


@dataclass(frozen=True, slots=True)
class AlertsQuery:
    """A page of alerts that is asked for."""

    wanted: AlertFilter
    after: Place | None
    size: int
    scope: bytes

    def token_after(self, alert: Alert) -> str:
        """Return the token of the page that follows this alert."""
        return page_token(self.scope, (alert.raise_time.isoformat(), str(alert.alert_id)))


@dataclass(frozen=True, slots=True)
class TimelineQuery:
    """A page of an alert's timeline that is asked for. `after` is a revision."""

    alert_id: UUID
    after: int
    size: int
    scope: bytes

    def token_after(self, revision: int) -> str:
        """Return the token of the page that follows this revision."""
        return page_token(self.scope, (str(revision),))


def read_alert_id(alert_id: str) -> UUID:
    """Return the id of the alert that is asked for, or raise InvalidArgumentError."""
    found = Violations()
    read = read_uuid(found, "alert_id", alert_id)
    found.raise_if_any()
    return read or _NOBODY


def read_alerts_query(request: alert_service_pb2.ListAlertsRequest) -> AlertsQuery:
    """Return what is asked for, or raise InvalidArgumentError with all that is wrong."""
    found = Violations()
    statuses = _read_statuses(found, request.statuses)
    check_scope(found, request.host_ids, request.kinds)
    min_severity = read_severity(found, "min_severity", request.min_severity)
    size = read_page_size(found, "page_size", request.page_size)
    scope = _alerts_scope(request)
    place = read_page_token(found, "page_token", request.page_token, scope, parts=2)
    after = None if place is None else _read_place(found, place)
    found.raise_if_any()
    wanted = AlertFilter(
        statuses, frozenset(request.host_ids), frozenset(request.kinds), min_severity
    )
    return AlertsQuery(wanted, after, size, scope)


def read_timeline_query(request: alert_service_pb2.ListAlertEventsRequest) -> TimelineQuery:
    """Return what is asked for, or raise InvalidArgumentError with all that is wrong."""
    found = Violations()
    alert_id = read_uuid(found, "alert_id", request.alert_id) or _NOBODY
    size = read_page_size(found, "page_size", request.page_size)
    scope = b"ListAlertEvents" + alert_id.bytes
    place = read_page_token(found, "page_token", request.page_token, scope, parts=1)
    after = 0 if place is None else _read_revision(found, place[0])
    found.raise_if_any()
    return TimelineQuery(alert_id, after, size, scope)


def check_scope(found: Violations, host_ids: Sequence[str], kinds: Sequence[str]) -> None:
    """Note what is wrong with a filter by hosts and kinds, at most 100 of each."""
    check_texts(found, "host_ids", host_ids, most_items=FILTER_ENTRIES, most=ID_CHARACTERS)
    if len(kinds) > FILTER_ENTRIES:
        found.add("kinds", f"has {len(kinds):,} entries; write at most {FILTER_ENTRIES}")
        return
    for index, kind in enumerate(kinds):
        check_kind(found, f"kinds[{index}]", kind)


def _read_statuses(found: Violations, numbers: Iterable[int]) -> frozenset[Status]:
    known = {
        read_choice(found, "statuses", number, _STATUS_NAMES) for number in dict.fromkeys(numbers)
    }
    return frozenset(Status(number) for number in known if number) or _STANDING


def _alerts_scope(request: alert_service_pb2.ListAlertsRequest) -> bytes:
    filters = type(request)()
    filters.MergeFrom(request)
    filters.ClearField("page_size")
    filters.ClearField("page_token")
    return b"ListAlerts" + filters.SerializeToString(deterministic=True)


def _read_place(found: Violations, place: Sequence[str]) -> Place | None:
    try:
        raise_time, alert_id = datetime.fromisoformat(place[0]), UUID(place[1])
    except ValueError:
        note_made_up(found, "page_token")
        return None
    if raise_time.utcoffset() != timedelta():
        note_made_up(found, "page_token")
    return Place(raise_time, alert_id)


def _read_revision(found: Violations, text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) >= 2**63:
        note_made_up(found, "page_token")
        return 0
    return int(text)
