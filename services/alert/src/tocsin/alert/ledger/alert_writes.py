"""What a batch has left new or changed of alerts, keys and requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.alert.store.changes import Changes, KeyChange
from tocsin.alert.store.requests import StoredAnswer

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from tocsin.alert.domain.alert import Alert
    from tocsin.alert.domain.key import Key
    from tocsin.alert.engine.transitions import KeyState
    from tocsin.alert.ledger.alert_book import AlertBook
    from tocsin.alert.ledger.fold import Fold
    from tocsin.alert.ledger.remembered import Remembered

# The fields of an alert from here on are none that a touch changes.
_LABELS = 10


def changes_of(fold: Fold, created: Collection[Key] = ()) -> Changes:
    """Return what is to be written of a batch, apart from backups, events and created keys."""
    book = fold.book
    new: list[Alert] = []
    changed: list[Alert] = []
    touched: list[Alert] = []
    for alert_id, after in book.changed_alerts.items():
        before = book.alerts.get(alert_id)
        if before is None:
            new.append(after)
        elif _is_touch(before, after):
            touched.append(after)
        else:
            changed.append(after)
    return Changes(new, changed, touched, _keys(book, created), _answers(fold.remembered))


def key_change(state: KeyState) -> KeyChange:
    """Return what is stored of a state in the row of its key."""
    return KeyChange(state.cleared_time, None if state.alert is None else state.alert.alert_id)


def _is_touch(before: Alert, after: Alert) -> bool:
    return (
        before.severity is after.severity
        and before.cause == after.cause
        and before[_LABELS:] == after[_LABELS:]
    )


def _keys(book: AlertBook, created: Collection[Key]) -> dict[Key, KeyChange]:
    return {
        key: key_change(after)
        for key, after in book.changed_states.items()
        if key not in created and _is_other(book.states[key], after)
    }


def _is_other(before: KeyState, after: KeyState) -> bool:
    """Whether what is stored of a key changes: an alert that is touched stays its alert."""
    if before.cleared_time != after.cleared_time:
        return True
    if before.alert is None or after.alert is None:
        return before.alert is not after.alert
    return before.alert.alert_id != after.alert.alert_id


def _answers(remembered: Mapping[str, Remembered]) -> dict[str, StoredAnswer]:
    return {
        request_id: StoredAnswer(answer.fingerprint, answer.to_document())
        for request_id, answer in remembered.items()
    }
