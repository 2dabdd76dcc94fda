"""From our matchers and times that come again to the contract's messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.api.notify.v1 import matcher_pb2, recurrence_pb2
from tocsin.notify.domain.recurrence import RecurrenceForm

if TYPE_CHECKING:
    from tocsin.notify.domain.matcher import Matcher
    from tocsin.notify.domain.recurrence import Recurrence


def matcher_to_stub(matcher: Matcher) -> matcher_pb2.Matcher:
    """Return a matcher as callers see it."""
    return matcher_pb2.Matcher(
        field=matcher_pb2.MatchField.ValueType(matcher.field),
        label=matcher.label,
        operator=matcher_pb2.MatchOperator.ValueType(matcher.operator),
        values=matcher.values,
    )


def recurrence_to_stub(recurrence: Recurrence) -> recurrence_pb2.Recurrence:
    """Return times that come again as callers see them."""
    if recurrence.form is RecurrenceForm.CRON:
        return recurrence_pb2.Recurrence(cron=recurrence.expression, time_zone=recurrence.time_zone)
    return recurrence_pb2.Recurrence(
        on_calendar=recurrence.expression, time_zone=recurrence.time_zone
    )
