"""Times that come again, as a caller gives them: read, or noted as wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tocsin.common.rpc.validate import check_text
from tocsin.notify.domain.recurrence import Recurrence, RecurrenceForm
from tocsin.notify.router import recurrence
from tocsin.notify.router.wall_clock import zone_of

if TYPE_CHECKING:
    from datetime import datetime

    from tocsin.api.notify.v1 import recurrence_pb2
    from tocsin.common.errors import Violations

EXPRESSION_CHARACTERS: Final = 256
_ZONE_CHARACTERS: Final = 64


def read_recurrence(
    found: Violations, path: str, given: recurrence_pb2.Recurrence, now: datetime
) -> Recurrence | None:
    """Return when something comes again, or note what is wrong: also that it never will."""
    is_zone = check_zone(found, f"{path}.time_zone", given.time_zone)
    form = given.WhichOneof("form")
    if form is None:
        found.add(path, "must hold one of cron ('30 7 * * *') and on_calendar ('Mon..Fri 07:30')")
        return None
    expression = given.cron if form == "cron" else given.on_calendar
    before = len(found.found)
    check_text(found, f"{path}.{form}", expression, least=1, most=EXPRESSION_CHARACTERS)
    if len(found.found) > before:
        return None
    read = Recurrence(RecurrenceForm(form), expression, given.time_zone if is_zone else "UTC")
    if wrong := recurrence.check(read, now):
        found.add(f"{path}.{form}", wrong)
        return None
    return read if is_zone else None


def check_zone(found: Violations, path: str, name: str) -> bool:
    """Return whether it is a time zone, and note it if not."""
    if not name:
        found.add(path, "must not be empty; write a zone such as Europe/Berlin, or UTC")
        return False
    if len(name) > _ZONE_CHARACTERS:
        check_text(found, path, name, most=_ZONE_CHARACTERS)
        return False
    try:
        zone_of(name)
    except ValueError as error:
        found.add(path, str(error))
        return False
    return True
