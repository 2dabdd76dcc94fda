"""Matchers and times that come again, as JSON documents and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tocsin.notify.domain.matcher import Matcher, MatchField, MatchOperator
from tocsin.notify.domain.recurrence import Recurrence, RecurrenceForm

if TYPE_CHECKING:
    from collections.abc import Iterable


def matchers_document(matchers: Iterable[Matcher]) -> list[dict[str, Any]]:
    """Return matchers as JSON has them."""
    return [
        {
            "field": matcher.field.value,
            "label": matcher.label,
            "operator": matcher.operator.value,
            "values": list(matcher.values),
        }
        for matcher in matchers
    ]


def matchers_of(document: Iterable[dict[str, Any]]) -> tuple[Matcher, ...]:
    """Return the matchers that `matchers_document` wrote."""
    return tuple(
        Matcher(
            field=MatchField(one["field"]),
            label=one["label"],
            operator=MatchOperator(one["operator"]),
            values=tuple(one["values"]),
        )
        for one in document
    )


def recurrence_document(recurrence: Recurrence | None) -> dict[str, str] | None:
    """Return when something comes again as JSON has it."""
    if recurrence is None:
        return None
    return {
        "form": recurrence.form.value,
        "expression": recurrence.expression,
        "time_zone": recurrence.time_zone,
    }


def recurrence_of(document: dict[str, str] | None) -> Recurrence | None:
    """Return what `recurrence_document` wrote."""
    if document is None:
        return None
    form = RecurrenceForm(document["form"])
    return Recurrence(form, document["expression"], document["time_zone"])
