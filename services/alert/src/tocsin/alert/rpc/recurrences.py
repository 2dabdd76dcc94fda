"""When runs are due: from the request to a recurrence that can be computed, or its refusal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.alert.domain.schedule import Cron, Interval, OnCalendar
from tocsin.alert.engine.slots import (
    LONGEST_INTERVAL,
    SHORTEST_INTERVAL,
    RecurrenceError,
    check_recurrence,
)
from tocsin.alert.engine.wall_clock import zone_of
from tocsin.alert.rpc.lengths import Bounds, read_length
from tocsin.common.rpc.validate import ID_CHARACTERS, check_text

if TYPE_CHECKING:
    from datetime import datetime

    from tocsin.alert.domain.schedule import Recurrence
    from tocsin.api.alert.v1 import backup_pb2
    from tocsin.common.errors import Violations

INTERVAL = Bounds(SHORTEST_INTERVAL, LONGEST_INTERVAL)
UTC_ZONE = "UTC"


def read_recurrence(
    found: Violations, path: str, given: backup_pb2.Recurrence, now: datetime
) -> Recurrence | None:
    """Return when runs are due, or note what is wrong: also that none will ever be after `now`."""
    times = given.WhichOneof("times")
    if times == "interval":
        if given.time_zone:
            found.add(f"{path}.time_zone", "is not for interval; leave it empty")
        return Interval(read_length(found, f"{path}.interval", given.interval, INTERVAL))
    zone = _read_zone(found, f"{path}.time_zone", given.time_zone)
    if times is None:
        found.add(
            path,
            'must hold one of cron ("30 2 * * *"), on_calendar ("Mon..Fri 02:30") and interval',
        )
        return None
    expression = given.cron if times == "cron" else given.on_calendar
    before = len(found.found)
    check_text(found, f"{path}.{times}", expression, least=1, most=ID_CHARACTERS)
    if len(found.found) > before:
        return None
    recurrence = (Cron if times == "cron" else OnCalendar)(expression, zone)
    try:
        check_recurrence(recurrence, now)
    except RecurrenceError as error:
        found.add(f"{path}.{times}", str(error))
    return recurrence


def _read_zone(found: Violations, path: str, name: str) -> str:
    """Return a time zone that there is: UTC also in place of one that has been noted as wrong."""
    before = len(found.found)
    check_text(found, path, name, most=ID_CHARACTERS)
    if not name or len(found.found) > before:
        return UTC_ZONE
    try:
        zone_of(name)
    except RecurrenceError as error:
        found.add(path, str(error))
        return UTC_ZONE
    return name
