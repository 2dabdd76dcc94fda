"""What the ledger decides by: keys, locked or not, each with its latest alert and its host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tocsin.alert.domain.alert import (
    NOTHING_NAMED,
    Acknowledgement,
    Alert,
    Resolution,
    ResolveReason,
    Subject,
)
from tocsin.alert.store.alerts import SEVERITIES, labels_of
from tocsin.alert.store.hosts import host_of
from tocsin.alert.store.requests import StoredAnswer
from tocsin.common.postgres.columns import packed

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    import asyncpg

    from tocsin.alert.domain.host import Host
    from tocsin.alert.domain.key import Key

# One round trip each; migrations/versions has the texts, in alert0003_ledger_functions.py,
# alert0005_compare_and_write.py and alert0006_packed_columns.py.
_KEYS = "unpack_texts_1($1), unpack_texts_1($2), unpack_texts_1($3)"
_LOCK_AND_READ = f"SELECT * FROM lock_and_read_1({_KEYS}, $4, $5)"  # noqa: S608 -- constants
_READ = f"SELECT * FROM read_keys_1({_KEYS})"  # noqa: S608 -- constants
# Their columns: some of their own, one of the key, then those of the alert, then of the host.
_OF_KEY_IN_LOCKED = 3
_OF_KEY_IN_READ = 2
_ALERT_ID = 1
_NAME_OF_HOST = 25


class StoredKey(NamedTuple):
    """What is stored of a key: when it was last cleared, and its latest alert, resolved or not."""

    cleared_time: datetime | None
    alert: Alert | None


class Locked(NamedTuple):
    """What was read under the locks.

    `hosts` are those of the keys that were put, without their signs of life; `answers` what is
    remembered of requests, by their ids.
    """

    keys: dict[Key, StoredKey]
    hosts: dict[str, Host]
    answers: dict[str, StoredAnswer]


class Read(NamedTuple):
    """What was read without a lock: it may have changed since.

    `missing` are the keys of which nothing is stored, not even a row; `hosts` as in Locked.
    """

    keys: dict[Key, StoredKey]
    missing: set[Key]
    hosts: dict[str, Host]


async def lock_keys(
    connection: asyncpg.Connection,
    ordered: Sequence[Key],
    request_ids: Collection[str] = (),
    remembered_since: datetime | None = None,
) -> Locked:
    """Lock each key until the transaction ends, creating those that are missing, and then read.

    `ordered` must be sorted and without repeats. What is returned was committed last, also when
    this has waited for a lock: each step within is a statement of its own. Answers from before
    `remembered_since` are left out.
    """
    rows = await connection.fetch(
        _LOCK_AND_READ, *packed_keys(ordered), list(request_ids), remembered_since
    )
    keys: dict[Key, StoredKey] = {}
    hosts: dict[str, Host] = {}
    for key, row in zip(ordered, rows, strict=False):
        _take(key, row[_OF_KEY_IN_LOCKED:], keys, hosts)
    answers = {row[0]: StoredAnswer(row[1], row[2]) for row in rows[len(ordered) :]}
    return Locked(keys, hosts, answers)


async def read_keys(connection: asyncpg.Connection, keys: Sequence[Key]) -> Read:
    """Read what was committed of keys last, in one statement and without a lock."""
    read = Read(dict.fromkeys(keys, _NOTHING), set(keys), {})
    for row in await connection.fetch(_READ, *packed_keys(keys)):
        key = keys[row[0] - 1]
        if row[1]:
            read.missing.discard(key)
        _take(key, row[_OF_KEY_IN_READ:], read.keys, read.hosts)
    return read


def packed_keys(keys: Collection[Key]) -> tuple[str, str, str]:
    """Return the columns of keys: hosts, kinds and dedup_keys."""
    host_ids, kinds, dedup_keys = zip(*keys, strict=True) if keys else ((), (), ())
    return packed(host_ids), packed(kinds), packed(dedup_keys)


_NOTHING = StoredKey(None, None)


def _take(
    key: Key, columns: Sequence[Any], keys: dict[Key, StoredKey], hosts: dict[str, Host]
) -> None:
    alert_id = columns[_ALERT_ID]
    alert = None if alert_id is None else _alert_of(key, columns[_ALERT_ID:_NAME_OF_HOST])
    keys[key] = StoredKey(columns[0], alert)
    if columns[_NAME_OF_HOST] is not None and key.host_id not in hosts:
        hosts[key.host_id] = host_of(key.host_id, columns[_NAME_OF_HOST:])


def _alert_of(key: Key, columns: Sequence[Any]) -> Alert:
    """Read the columns of an alert by their places: by name it takes three times as long."""
    alert_id, host_name, severity, message, cause, occurrences = columns[:6]
    raise_time, last_seen_time, version, labels = columns[6:10]
    acknowledged = columns[10:14]
    resolve_time, resolved_by, reason = columns[14:17]
    resolution = None
    if resolve_time is not None:
        resolution = Resolution(resolve_time, resolved_by, ResolveReason(reason))
    previous_alert_id, host_labels, *subject, suppressed_by, objective_multiple = columns[17:]
    return Alert(
        alert_id,
        key,
        host_name,
        SEVERITIES[severity],
        message,
        cause,
        occurrences,
        raise_time,
        last_seen_time,
        version,
        labels_of(labels),
        None if acknowledged[0] is None else Acknowledgement(*acknowledged),
        resolution,
        previous_alert_id,
        labels_of(host_labels),
        Subject(*subject) if any(subject) else NOTHING_NAMED,
        suppressed_by,
        objective_multiple,
    )
