"""Functions of the ledger that are given their columns in the form that costs a client least.

A text array costs asyncpg 0.2 µs for each text, an array of times 0.6 µs for each time, and one
long text or an array of numbers next to nothing. So the functions that most batches call, which
are those of alert0003 and alert0005 in all else, take each column of texts as one text
(`unpack_texts_1`), and times as microseconds since 1970 (`time_at_1`). A column that is NULL in
every row may be empty: unnest fills it up. Of types, severities and times of record one stands for
all that are alike.
"""

from __future__ import annotations

from alembic import op

revision = "alert0006"
down_revision = "alert0005"
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

# Both are put into the statement that calls them: for that they must be neither STRICT nor said to
# be less volatile than what they are made of.
#
# Each text stands behind a separator that is in none of them; the first character U+001E ends it.
# Of no texts at all the packed one is empty.
_UNPACK_TEXTS = r"""
CREATE FUNCTION unpack_texts_1(packed text) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $function$
    SELECT (string_to_array(packed, left(packed, strpos(packed, E'\x1e'))))[2:]
$function$
"""

# In two steps, for one product would not be exact in every year.
_TIME_AT = """
CREATE FUNCTION time_at_1(microseconds bigint) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE
AS $function$
    SELECT TIMESTAMPTZ '1970-01-01 00:00:00+00'
           + microseconds / 1000000 * INTERVAL '1 second'
           + microseconds % 1000000 * INTERVAL '1 microsecond'
$function$
"""

_HOLD = f"""
CREATE FUNCTION hold_unchanged_2(
    packed_new_host_ids text, packed_new_kinds text, packed_new_dedup_keys text,
    new_cleared_times timestamptz[], new_last_alert_ids uuid[],
    packed_host_ids text, packed_kinds text, packed_dedup_keys text,
    cleared_times timestamptz[], last_alert_ids uuid[],
    versions bigint[], last_seen_microseconds bigint[], severities smallint[],
    act_times timestamptz[],
    host_names text[], host_labels text[],
    request_ids text[], remembered_since timestamptz
) RETURNS boolean
LANGUAGE plpgsql VOLATILE {_PLANS}
AS $function$
#variable_conflict use_column
DECLARE
    new_host_ids text[] := unpack_texts_1(packed_new_host_ids);
    host_ids text[] := unpack_texts_1(packed_host_ids);
    created bigint := 0;
    held bigint := 0;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RETURN false;
    END IF;
    IF cardinality(new_host_ids) > 0 THEN
        INSERT INTO alert_keys (host_id, kind, dedup_key, cleared_time, last_alert_id)
        SELECT new.host_id, new.kind, new.dedup_key, new.cleared_time, new.last_alert_id
        FROM unnest(new_host_ids, unpack_texts_1(packed_new_kinds),
                    unpack_texts_1(packed_new_dedup_keys), new_cleared_times, new_last_alert_ids)
             WITH ORDINALITY
             AS new (host_id, kind, dedup_key, cleared_time, last_alert_id, place)
        ORDER BY new.place
        ON CONFLICT DO NOTHING;
        GET DIAGNOSTICS created = ROW_COUNT;
    END IF;
    IF created = cardinality(new_host_ids) AND cardinality(host_ids) > 0 THEN
        SELECT count(*) INTO held
        FROM (
            SELECT stored.cleared_time, stored.last_alert_id,
                   wanted.cleared_time AS expected_time, wanted.last_alert_id AS expected_id
            FROM unnest(host_ids, unpack_texts_1(packed_kinds), unpack_texts_1(packed_dedup_keys),
                        cleared_times, last_alert_ids)
                 WITH ORDINALITY
                 AS wanted (host_id, kind, dedup_key, cleared_time, last_alert_id, place)
            JOIN alert_keys AS stored USING (host_id, kind, dedup_key)
            ORDER BY wanted.place
            FOR UPDATE OF stored
        ) AS locked
        WHERE cleared_time IS NOT DISTINCT FROM expected_time
          AND last_alert_id IS NOT DISTINCT FROM expected_id;
        IF held = cardinality(host_ids) THEN
            SELECT count(*) INTO held
            FROM unnest(host_ids, last_alert_ids, versions, last_seen_microseconds, severities,
                        act_times, host_names, host_labels)
                 AS wanted (host_id, alert_id, version, last_seen, severity, act_time, name, labels)
            LEFT JOIN alerts ON alerts.alert_id = wanted.alert_id
            LEFT JOIN hosts ON hosts.host_id = wanted.host_id
            WHERE alerts.version IS NOT DISTINCT FROM wanted.version
              AND alerts.last_seen_time IS NOT DISTINCT FROM time_at_1(wanted.last_seen)
              AND alerts.severity IS NOT DISTINCT FROM wanted.severity
              AND coalesce(alerts.resolve_time, alerts.acknowledge_time)
                  IS NOT DISTINCT FROM wanted.act_time
              AND hosts.name IS NOT DISTINCT FROM wanted.name
              AND hosts.labels IS NOT DISTINCT FROM wanted.labels::jsonb;
        END IF;
    END IF;
    IF created = cardinality(new_host_ids) AND held = cardinality(host_ids)
       AND NOT (cardinality(request_ids) > 0 AND EXISTS (
           SELECT FROM requests
           WHERE request_id = ANY(request_ids) AND create_time >= remembered_since
       )) THEN
        RETURN true;
    END IF;
    IF cardinality(new_host_ids) > 0 THEN
        RAISE EXCEPTION 'another transaction has changed a key' USING ERRCODE = '40001';
    END IF;
    RETURN false;
END
$function$
"""  # noqa: S608 -- constants

_TOUCH = f"""
CREATE FUNCTION touch_2(
    alert_ids uuid[], packed_host_names text, packed_messages text, counts bigint[],
    last_seen_microseconds bigint[], versions bigint[]
) RETURNS boolean
LANGUAGE plpgsql VOLATILE {_PLANS}
AS $function$
#variable_conflict use_column
BEGIN
    UPDATE alerts
    SET host_name = touched.host_name, message = touched.message,
        occurrences = touched.occurrences, last_seen_time = time_at_1(touched.last_seen),
        version = touched.version
    FROM unnest(alert_ids, unpack_texts_1(packed_host_names), unpack_texts_1(packed_messages),
                counts, last_seen_microseconds, versions)
         AS touched (alert_id, host_name, message, occurrences, last_seen, version)
    WHERE alerts.alert_id = touched.alert_id;
    RETURN true;
END
$function$
"""  # noqa: S608 -- constants

_RAISE = f"""
CREATE FUNCTION raise_2(
    alert_ids uuid[], packed_host_ids text, packed_kinds text, packed_dedup_keys text,
    packed_labels text, raise_microseconds bigint[], previous_alert_ids uuid[],
    packed_host_labels text, packed_host_names text, severities smallint[],
    packed_messages text, packed_causes text,
    key_host_ids text[], key_kinds text[], key_dedup_keys text[],
    key_cleared_times timestamptz[], key_last_alert_ids uuid[]
) RETURNS boolean
LANGUAGE plpgsql VOLATILE {_PLANS}
AS $function$
#variable_conflict use_column
BEGIN
    INSERT INTO alerts
        (alert_id, host_id, kind, dedup_key, labels, raise_time, last_seen_time,
         previous_alert_id, host_labels, host_name, severity, message, cause,
         status, occurrences, version)
    SELECT new.alert_id, new.host_id, new.kind, new.dedup_key, new.labels::jsonb,
           time_at_1(new.raised), time_at_1(new.raised), new.previous_alert_id,
           new.host_labels::jsonb, new.host_name, coalesce(new.severity, severities[1]),
           new.message, new.cause, 1, 1, 1
    FROM unnest(alert_ids, unpack_texts_1(packed_host_ids), unpack_texts_1(packed_kinds),
                unpack_texts_1(packed_dedup_keys), unpack_texts_1(packed_labels),
                raise_microseconds, previous_alert_ids, unpack_texts_1(packed_host_labels),
                unpack_texts_1(packed_host_names), severities, unpack_texts_1(packed_messages),
                unpack_texts_1(packed_causes))
         AS new (alert_id, host_id, kind, dedup_key, labels, raised, previous_alert_id,
                 host_labels, host_name, severity, message, cause);
    IF cardinality(key_host_ids) > 0 THEN
        PERFORM set_keys_1(key_host_ids, key_kinds, key_dedup_keys, key_cleared_times,
                           key_last_alert_ids);
    END IF;
    RETURN true;
END
$function$
"""  # noqa: S608 -- constants

_APPEND = f"""
CREATE FUNCTION append_2(
    written boolean, lock bigint,
    alert_ids uuid[], packed_host_ids text, packed_kinds text, severities smallint[],
    types smallint[], record_times timestamptz[], payloads bytea[]
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
    SELECT head + entry.place, entry.alert_id, entry.host_id, entry.kind,
           coalesce(entry.severity, severities[1]), coalesce(entry.type, types[1]),
           coalesce(entry.record_time, record_times[1]), entry.payload
    FROM unnest(alert_ids, unpack_texts_1(packed_host_ids), unpack_texts_1(packed_kinds),
                severities, types, record_times, payloads)
         WITH ORDINALITY
         AS entry (alert_id, host_id, kind, severity, type, record_time, payload, place);
    RETURN head;
END
$function$
"""  # noqa: S608 -- constants

_ALL = {
    "unpack_texts_1": _UNPACK_TEXTS,
    "time_at_1": _TIME_AT,
    "hold_unchanged_2": _HOLD,
    "touch_2": _TOUCH,
    "raise_2": _RAISE,
    "append_2": _APPEND,
}


def upgrade() -> None:
    for text in _ALL.values():
        op.execute(text)


def downgrade() -> None:
    for name in reversed(_ALL):
        op.execute(f"DROP FUNCTION {name}")
