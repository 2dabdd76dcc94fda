"""The functions of the ledger: a batch is one call to lock and read, and one to write.

Here is their only text. Each is several statements in one round trip, and in READ COMMITTED each
statement of a VOLATILE function sees what was committed before it began, as if the client had
sent it: what is read after a lock is what the holder before has left.

Their plans are kept (made once in a session, and not for each call) and cannot go wrong as tables
grow: they go from arrays of at most some thousand elements to rows by primary keys, with nothing
else allowed.

A later change of them, or of a table that they write, adds functions under new names: servers of
the version before call these ones until they are gone.
"""

from __future__ import annotations

from alembic import op

revision = "alert0003"
down_revision = "alert0002"
branch_labels = None
depends_on = None
phase = "before"

_PLANS = """
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
"""

# Keys are taken in the order given, which must be sorted. A transaction that waits in the first
# statement holds nothing but keys of its own making that sort lower, and one that waits in the
# second nothing but keys that sort lower: no two wait for each other.
#
# One row for each key in its place, then one for each request that is remembered.
_LOCK_AND_READ = f"""
CREATE FUNCTION lock_and_read_1(
    host_ids text[], kinds text[], dedup_keys text[],
    request_ids text[], remembered_since timestamptz
) RETURNS TABLE (
    request_id text, fingerprint bytea, answer text,
    cleared_time timestamptz,
    alert_id uuid, host_name text, severity smallint, message text, cause text,
    occurrences bigint, raise_time timestamptz, last_seen_time timestamptz, version bigint,
    labels text,
    acknowledge_time timestamptz, acknowledged_by text, acknowledge_note text,
    acknowledge_expire_time timestamptz,
    resolve_time timestamptz, resolved_by text, resolve_reason smallint,
    previous_alert_id uuid, host_labels text,
    source_group_id text, repository_id text, schedule_id text,
    suppressed_by uuid, objective_multiple smallint,
    name text, labels_of_host text, profile smallint, offline_after interval,
    create_time timestamptz, update_time timestamptz, retire_time timestamptz
)
LANGUAGE plpgsql VOLATILE {_PLANS}
AS $function$
#variable_conflict use_column
DECLARE
    cleared_times timestamptz[];
    last_alert_ids uuid[];
BEGIN
    INSERT INTO alert_keys (host_id, kind, dedup_key)
    SELECT wanted.host_id, wanted.kind, wanted.dedup_key
    FROM unnest(host_ids, kinds, dedup_keys)
         WITH ORDINALITY AS wanted (host_id, kind, dedup_key, place)
    WHERE NOT EXISTS (
        SELECT FROM alert_keys AS stored
        WHERE stored.host_id = wanted.host_id AND stored.kind = wanted.kind
          AND stored.dedup_key = wanted.dedup_key
    )
    ORDER BY wanted.place
    ON CONFLICT DO NOTHING;

    SELECT array_agg(locked.cleared_time), array_agg(locked.last_alert_id)
    INTO cleared_times, last_alert_ids
    FROM (
        SELECT stored.cleared_time, stored.last_alert_id
        FROM unnest(host_ids, kinds, dedup_keys)
             WITH ORDINALITY AS wanted (host_id, kind, dedup_key, place)
        JOIN alert_keys AS stored USING (host_id, kind, dedup_key)
        ORDER BY wanted.place
        FOR UPDATE OF stored
    ) AS locked;

    RETURN QUERY
    SELECT NULL::text, NULL::bytea, NULL::text,
           key.cleared_time,
           key.last_alert_id, alerts.host_name, alerts.severity, alerts.message, alerts.cause,
           alerts.occurrences, alerts.raise_time, alerts.last_seen_time, alerts.version,
           alerts.labels::text,
           alerts.acknowledge_time, alerts.acknowledged_by, alerts.acknowledge_note,
           alerts.acknowledge_expire_time,
           alerts.resolve_time, alerts.resolved_by, alerts.resolve_reason,
           alerts.previous_alert_id, alerts.host_labels::text,
           alerts.source_group_id, alerts.repository_id, alerts.schedule_id,
           alerts.suppressed_by, alerts.objective_multiple,
           hosts.name, hosts.labels::text, hosts.profile, hosts.offline_after,
           hosts.create_time, hosts.update_time, hosts.retire_time
    FROM unnest(host_ids, cleared_times, last_alert_ids)
         WITH ORDINALITY AS key (host_id, cleared_time, last_alert_id, place)
    LEFT JOIN alerts ON alerts.alert_id = key.last_alert_id
    LEFT JOIN hosts ON hosts.host_id = key.host_id
    ORDER BY key.place;

    IF cardinality(request_ids) > 0 THEN
        RETURN QUERY
        SELECT requests.request_id, requests.fingerprint, requests.answer::text,
               NULL::timestamptz,
               NULL::uuid, NULL::text, NULL::smallint, NULL::text, NULL::text,
               NULL::bigint, NULL::timestamptz, NULL::timestamptz, NULL::bigint,
               NULL::text,
               NULL::timestamptz, NULL::text, NULL::text,
               NULL::timestamptz,
               NULL::timestamptz, NULL::text, NULL::smallint,
               NULL::uuid, NULL::text,
               NULL::text, NULL::text, NULL::text,
               NULL::uuid, NULL::smallint,
               NULL::text, NULL::text, NULL::smallint, NULL::interval,
               NULL::timestamptz, NULL::timestamptz, NULL::timestamptz
        FROM requests
        WHERE requests.request_id = ANY(request_ids)
          AND requests.create_time >= remembered_since;
    END IF;
END
$function$
"""  # noqa: S608 -- constants

# What a touch changes of an alert, when it changes nothing else.
_TOUCH = f"""
CREATE FUNCTION touch_1(
    alert_ids uuid[], host_names text[], messages text[], counts bigint[],
    last_seen_times timestamptz[], versions bigint[]
) RETURNS boolean
LANGUAGE plpgsql VOLATILE {_PLANS}
AS $function$
#variable_conflict use_column
BEGIN
    UPDATE alerts
    SET host_name = touched.host_name, message = touched.message,
        occurrences = touched.occurrences, last_seen_time = touched.last_seen_time,
        version = touched.version
    FROM unnest(alert_ids, host_names, messages, counts, last_seen_times, versions)
         AS touched (alert_id, host_name, message, occurrences, last_seen_time, version)
    WHERE alerts.alert_id = touched.alert_id;
    RETURN true;
END
$function$
"""  # noqa: S608 -- constants

_SET_KEYS = f"""
CREATE FUNCTION set_keys_1(
    host_ids text[], kinds text[], dedup_keys text[],
    cleared_times timestamptz[], last_alert_ids uuid[]
) RETURNS boolean
LANGUAGE plpgsql VOLATILE {_PLANS}
AS $function$
BEGIN
    UPDATE alert_keys AS stored
    SET cleared_time = changed.cleared_time, last_alert_id = changed.last_alert_id
    FROM unnest(host_ids, kinds, dedup_keys, cleared_times, last_alert_ids)
         AS changed (host_id, kind, dedup_key, cleared_time, last_alert_id)
    WHERE stored.host_id = changed.host_id AND stored.kind = changed.kind
      AND stored.dedup_key = changed.dedup_key;
    RETURN true;
END
$function$
"""  # noqa: S608 -- constants

_ALERT_COLUMNS = {
    "alert_id": "uuid",
    "host_id": "text",
    "kind": "text",
    "dedup_key": "text",
    "labels": "jsonb",
    "raise_time": "timestamptz",
    "previous_alert_id": "uuid",
    "host_labels": "jsonb",
    "source_group_id": "text",
    "repository_id": "text",
    "schedule_id": "text",
    "host_name": "text",
    "severity": "smallint",
    "status": "smallint",
    "message": "text",
    "cause": "text",
    "occurrences": "bigint",
    "last_seen_time": "timestamptz",
    "version": "bigint",
    "acknowledge_time": "timestamptz",
    "acknowledged_by": "text",
    "acknowledge_note": "text",
    "acknowledge_expire_time": "timestamptz",
    "resolve_time": "timestamptz",
    "resolved_by": "text",
    "resolve_reason": "smallint",
    "suppressed_by": "uuid",
    "objective_multiple": "smallint",
}
_FIXED = 11  # so many of them never change
_COLUMNS = ", ".join(_ALERT_COLUMNS)
_CHANGING = tuple(_ALERT_COLUMNS)[_FIXED:]
_ARRAYS = ", ".join(f"alert_{name}" for name in _ALERT_COLUMNS)
_ROWS = f"unnest(alert_are_new, {_ARRAYS}) AS given (is_new, {_COLUMNS})"

# Whole alerts first, those that changed before those that are new: a key whose alert was resolved
# may have another one. Then touches, keys and requests. True, for `append_1` to come after.
#
# Two transactions that remember the same requests take them in one order, that of their ids. A row
# that is too old to count gives way. One that is not was committed after this transaction had
# looked for it: the transaction must be run again, and will find it.
_WRITE = f"""
CREATE FUNCTION write_1(
    alert_are_new boolean[],
    {", ".join(f"alert_{name} {type_}[]" for name, type_ in _ALERT_COLUMNS.items())},
    touched_ids uuid[], touched_host_names text[], touched_messages text[],
    touched_occurrences bigint[], touched_last_seen_times timestamptz[], touched_versions bigint[],
    key_host_ids text[], key_kinds text[], key_dedup_keys text[],
    key_cleared_times timestamptz[], key_last_alert_ids uuid[],
    request_ids text[], request_fingerprints bytea[], request_answers text[],
    now timestamptz, remembered_since timestamptz
) RETURNS boolean
LANGUAGE plpgsql VOLATILE {_PLANS}
AS $function$
#variable_conflict use_column
DECLARE
    remembered bigint;
BEGIN
    IF false = ANY(alert_are_new) THEN
        UPDATE alerts SET {", ".join(f"{name} = given.{name}" for name in _CHANGING)}
        FROM {_ROWS} WHERE alerts.alert_id = given.alert_id AND NOT given.is_new;
    END IF;
    IF true = ANY(alert_are_new) THEN
        INSERT INTO alerts ({_COLUMNS})
        SELECT {", ".join(f"given.{name}" for name in _ALERT_COLUMNS)}
        FROM {_ROWS} WHERE given.is_new;
    END IF;
    IF cardinality(touched_ids) > 0 THEN
        PERFORM touch_1(touched_ids, touched_host_names, touched_messages, touched_occurrences,
                        touched_last_seen_times, touched_versions);
    END IF;
    IF cardinality(key_host_ids) > 0 THEN
        PERFORM set_keys_1(key_host_ids, key_kinds, key_dedup_keys, key_cleared_times,
                           key_last_alert_ids);
    END IF;
    IF cardinality(request_ids) > 0 THEN
        WITH written AS (
            INSERT INTO requests (request_id, fingerprint, answer, create_time)
            SELECT new.request_id, new.fingerprint, new.answer::jsonb, now
            FROM unnest(request_ids, request_fingerprints, request_answers)
                 AS new (request_id, fingerprint, answer)
            ON CONFLICT (request_id) DO UPDATE
            SET fingerprint = excluded.fingerprint, answer = excluded.answer,
                create_time = excluded.create_time
            WHERE requests.create_time < remembered_since
            RETURNING 1
        )
        SELECT count(*) INTO remembered FROM written;
        IF remembered <> cardinality(request_ids) THEN
            RAISE EXCEPTION 'another transaction remembers a request' USING ERRCODE = '40001';
        END IF;
    END IF;
    RETURN true;
END
$function$
"""  # noqa: S608 -- constants

# Events get the revisions after the last one, in the order given, with the log's lock held until
# the transaction ends. `written` is there to be worked out before the lock is taken.
_APPEND = f"""
CREATE FUNCTION append_1(
    written boolean, lock bigint,
    alert_ids uuid[], host_ids text[], kinds text[], severities smallint[], types smallint[],
    record_times timestamptz[], payloads bytea[]
) RETURNS bigint
LANGUAGE plpgsql VOLATILE {_PLANS}
AS $function$
DECLARE
    head bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(lock);
    SELECT coalesce(max(events.revision), 0) INTO head FROM events;
    INSERT INTO events
        (revision, alert_id, host_id, kind, severity, type, record_time, payload)
    SELECT head + entry.place, entry.alert_id, entry.host_id, entry.kind, entry.severity,
           entry.type, entry.record_time, entry.payload
    FROM unnest(alert_ids, host_ids, kinds, severities, types, record_times, payloads)
         WITH ORDINALITY
         AS entry (alert_id, host_id, kind, severity, type, record_time, payload, place);
    RETURN head;
END
$function$
"""  # noqa: S608 -- constants

_ALL = {
    "lock_and_read_1": _LOCK_AND_READ,
    "touch_1": _TOUCH,
    "set_keys_1": _SET_KEYS,
    "write_1": _WRITE,
    "append_1": _APPEND,
}


def upgrade() -> None:
    for text in _ALL.values():
        op.execute(text)


def downgrade() -> None:
    for name in _ALL:
        op.execute(f"DROP FUNCTION {name}")
