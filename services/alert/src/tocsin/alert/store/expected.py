"""What keys were decided by, compared with what is stored in the same statement that writes.

migrations/versions/alert0006_packed_columns.py has the text of the function.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tocsin.alert.store.alerts import labels_to_text
from tocsin.alert.store.keys import packed_keys
from tocsin.common.postgres.calls import FunctionCall
from tocsin.common.postgres.columns import map_runs, microsecond, unless_all_null

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    import asyncpg

    from tocsin.alert.domain.alert import Alert
    from tocsin.alert.domain.host import Host
    from tocsin.alert.domain.key import Key
    from tocsin.alert.store.changes import KeyChange


class Expected(NamedTuple):
    """What must be stored for a decision to hold.

    Of `keys` when they were last cleared, and their latest alert; of the `hosts` of these keys
    those that were put. `new` keys have no row yet, and come with what they become. No answer of
    since `remembered_since` is remembered of `request_ids`. Both sorts of keys are in their order.
    """

    keys: Mapping[Key, tuple[datetime | None, Alert | None]]
    hosts: Mapping[str, Host]
    new: Mapping[Key, KeyChange]
    request_ids: Collection[str]
    remembered_since: datetime


def call_to_hold(expected: Expected) -> FunctionCall:
    """Return the call that locks the keys and tells whether all is as expected.

    An alert has changed if its version or the time it was last seen has: the version grows by
    every change but one, that of a time which is not believed (engine/wrong_clocks.py). Where the
    database was set back, other changes may have led to the same version: these have another
    severity, or were made at another time. Of a host its name and labels are what alerts bear.

    Where keys are new, what is not as expected is a serialization failure.
    """
    keys, new = expected.keys, expected.new
    cleared_times, alerts = zip(*keys.values(), strict=True) if keys else ((), ())
    # Of what was done with an alert last, the time is compared.
    acts = [alert and (alert.resolution or alert.acknowledgement) for alert in alerts]
    # What a shorter array has too little of is NULL to unnest.
    hosts = [expected.hosts.get(key.host_id) for key in keys] if expected.hosts else ()
    arguments = (
        *packed_keys(new),
        unless_all_null([change.cleared_time for change in new.values()]),
        unless_all_null([change.last_alert_id for change in new.values()]),
        *packed_keys(keys),
        unless_all_null(cleared_times),
        unless_all_null([alert and alert.alert_id for alert in alerts]),
        unless_all_null([alert and alert.version for alert in alerts]),
        map_runs(_microsecond, [alert and alert.last_seen_time for alert in alerts]),
        unless_all_null([alert and alert.severity for alert in alerts]),
        unless_all_null([act and act.time for act in acts]),
        [host and host.spec.name for host in hosts],
        map_runs(_labels_of, hosts),
        list(expected.request_ids),
        expected.remembered_since,
    )
    return FunctionCall("hold_unchanged_2", arguments)


def _microsecond(time: datetime | None) -> int | None:
    return None if time is None else microsecond(time)


def _labels_of(host: Host | None) -> str | None:
    return None if host is None else labels_to_text(host.spec.labels)


async def write_if(
    connection: asyncpg.Connection, condition: FunctionCall, call: FunctionCall | None
) -> bool:
    """Make a call that returns true if the condition does, in one statement; else do nothing."""
    if call is None:
        held = await connection.fetchval(f"SELECT {condition.sql}", *condition.arguments)
    else:
        count = len(condition.arguments)
        held = await connection.fetchval(
            f"SELECT CASE WHEN {condition.sql} THEN {call.sql_after(count)} END",
            *condition.arguments,
            *call.arguments,
        )
    return bool(held)
