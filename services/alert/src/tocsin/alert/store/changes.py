"""What the ledger writes of alerts, keys and requests, as one call of a function of the database.

migrations/versions has the text of the functions: in alert0006_packed_columns.py those of plain
raises and touches, in alert0003_ledger_functions.py the rest. None of the columns that a touch
alters is in an index, so a touch stays a HOT update.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tocsin.alert.domain.alert import NOTHING_NAMED, Alert
from tocsin.alert.store.alerts import labels_to_text
from tocsin.alert.store.keys import packed_keys
from tocsin.alert.store.requests import REMEMBERED_FOR
from tocsin.common.postgres.calls import FunctionCall
from tocsin.common.postgres.columns import (
    map_runs,
    microsecond,
    once_if_alike,
    packed,
    unless_all_null,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from tocsin.alert.domain.key import Key
    from tocsin.alert.store.requests import StoredAnswer


class KeyChange(NamedTuple):
    """What a key becomes."""

    cleared_time: datetime | None
    last_alert_id: UUID | None


class Changes(NamedTuple):
    """What is to be written.

    `new` alerts and `changed` ones are written whole. Of `touched` ones nothing else is written
    than what every touch changes: the name of the host, the message, the count, the time they
    were last seen and the version. The keys must be locked. `answers` are new.
    """

    new: Sequence[Alert]
    changed: Sequence[Alert]
    touched: Sequence[Alert]
    keys: Mapping[Key, KeyChange]
    answers: Mapping[str, StoredAnswer]


_ALERT_COLUMNS = 29


def call_to_write(changes: Changes, now: datetime) -> FunctionCall | None:
    """Return the call that writes changes; None when there are none.

    It fails with a serialization failure when another transaction has committed one of the
    answers: run again, the transaction will read it.
    """
    if changes.changed or changes.answers or (changes.touched and (changes.new or changes.keys)):
        return _write(changes, now)
    if changes.new:
        if all(map(_is_plain, changes.new)):
            return FunctionCall(
                "raise_2", (*_raise_columns(changes.new), *_key_arrays(changes.keys))
            )
        return _write(changes, now)
    if changes.touched:
        return FunctionCall("touch_2", _touch_columns(changes.touched))
    if changes.keys:
        return FunctionCall("set_keys_1", _key_arrays(changes.keys))
    return None


def _write(changes: Changes, now: datetime) -> FunctionCall:
    answers = sorted(changes.answers.items())  # two transactions do not deadlock
    arguments = (
        *_alert_arrays(changes),
        *_touch_arrays(changes.touched),
        *_key_arrays(changes.keys),
        [request_id for request_id, _ in answers],
        [answer.fingerprint for _, answer in answers],
        [answer.document for _, answer in answers],
        now,
        now - REMEMBERED_FOR,
    )
    return FunctionCall("write_1", arguments)


def _is_plain(new: Alert) -> bool:
    """Whether nothing but its raising is known of an alert, by a report of nothing else."""
    return (
        new.version == 1
        and new.last_seen_time == new.raise_time
        and new.subject is NOTHING_NAMED
        and new.suppressed_by is None
    )


def _raise_columns(alerts: Sequence[Alert]) -> Sequence[Any]:
    fields = dict(zip(Alert._fields, zip(*alerts, strict=True), strict=True))
    return (
        fields["alert_id"],
        *packed_keys(fields["key"]),
        packed(map_runs(labels_to_text, fields["labels"])),
        map_runs(microsecond, fields["raise_time"]),
        unless_all_null(fields["previous_alert_id"]),
        packed(map_runs(labels_to_text, fields["host_labels"])),
        packed(fields["host_name"]),
        once_if_alike(fields["severity"]),
        packed(fields["message"]),
        packed(fields["cause"]),
    )


def _touch_columns(alerts: Sequence[Alert]) -> Sequence[Any]:
    return (
        [alert.alert_id for alert in alerts],
        packed([alert.host_name for alert in alerts]),
        packed([alert.message for alert in alerts]),
        [alert.occurrences for alert in alerts],
        map_runs(microsecond, [alert.last_seen_time for alert in alerts]),
        [alert.version for alert in alerts],
    )


def _touch_arrays(alerts: Sequence[Alert]) -> Sequence[Any]:
    return (
        [alert.alert_id for alert in alerts],
        [alert.host_name for alert in alerts],
        [alert.message for alert in alerts],
        [alert.occurrences for alert in alerts],
        [alert.last_seen_time for alert in alerts],
        [alert.version for alert in alerts],
    )


def _key_arrays(keys: Mapping[Key, KeyChange]) -> Sequence[Any]:
    return (
        [key.host_id for key in keys],
        [key.kind for key in keys],
        [key.dedup_key for key in keys],
        [change.cleared_time for change in keys.values()],
        [change.last_alert_id for change in keys.values()],
    )


def _alert_arrays(changes: Changes) -> Sequence[Any]:
    rows = [(False, *_values(alert)) for alert in changes.changed]
    rows += [(True, *_values(alert)) for alert in changes.new]
    return tuple(zip(*rows, strict=True)) if rows else ((),) * _ALERT_COLUMNS


def _values(alert: Alert) -> tuple[Any, ...]:
    key, subject = alert.key, alert.subject
    acknowledged, resolved = alert.acknowledgement, alert.resolution
    return (
        alert.alert_id,
        key.host_id,
        key.kind,
        key.dedup_key,
        labels_to_text(alert.labels),
        alert.raise_time,
        alert.previous_alert_id,
        labels_to_text(alert.host_labels),
        subject.source_group_id,
        subject.repository_id,
        subject.schedule_id,
        alert.host_name,
        alert.severity,
        alert.status,
        alert.message,
        alert.cause,
        alert.occurrences,
        alert.last_seen_time,
        alert.version,
        *(
            (None, None, None, None)
            if acknowledged is None
            else (
                acknowledged.time,
                acknowledged.actor,
                acknowledged.note,
                acknowledged.expire_time,
            )
        ),
        *(
            (None, None, None)
            if resolved is None
            else (resolved.time, resolved.actor, resolved.reason)
        ),
        alert.suppressed_by,
        alert.objective_multiple,
    )
