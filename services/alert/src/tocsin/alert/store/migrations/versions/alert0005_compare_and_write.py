"""Functions of the ledger for batches that are decided before anything is locked.

`read_keys_1` reads without a lock. `hold_unchanged_1` locks the keys and tells whether they are
what was decided by: only then is anything written, by the functions of alert0003 and `raise_1`, in
the same statement and so in one transaction. As there, each statement of a VOLATILE function sees
what was committed before it began, and plans are kept that cannot go wrong as tables grow.
"""

from __future__ import annotations

from alembic import op

revision = "alert0005"
down_revision = "alert0004"
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

# One row for each key of which there is something: its own row, or that of its host. `place` is
# where the key stands in the arrays, from 1.
_READ = f"""
CREATE FUNCTION read_keys_1(host_ids text[], kinds text[], dedup_keys text[])
RETURNS TABLE (
    place bigint, is_stored boolean,
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
LANGUAGE plpgsql STABLE {_PLANS}
AS $function$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT wanted.place, stored.host_id IS NOT NULL,
           stored.cleared_time,
           stored.last_alert_id, alerts.host_name, alerts.severity, alerts.message, alerts.cause,
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
    FROM unnest(host_ids, kinds, dedup_keys)
         WITH ORDINALITY AS wanted (host_id, kind, dedup_key, place)
    LEFT JOIN alert_keys AS stored
         ON stored.host_id = wanted.host_id AND stored.kind = wanted.kind
        AND stored.dedup_key = wanted.dedup_key
    LEFT JOIN alerts ON alerts.alert_id = stored.last_alert_id
    LEFT JOIN hosts ON hosts.host_id = wanted.host_id
    WHERE stored.host_id IS NOT NULL OR hosts.host_id IS NOT NULL;
END
$function$
"""  # noqa: S608 -- constants

# Keys are locked as lock_and_read_1 does it, and in the same order: those that are to be created
# first. These get at once what they become, so that their row is written once. From `held` on
# nobody else changes a key or its latest alert until the transaction ends, so the second
# comparison, a statement of its own, sees what there is.
#
# False, and nothing is changed: something is not as expected, or a request was answered before. If
# keys were to be created that is a failure, which leaves none of them behind.
_HOLD = f"""
CREATE FUNCTION hold_unchanged_1(
    new_host_ids text[], new_kinds text[], new_dedup_keys text[],
    new_cleared_times timestamptz[], new_last_alert_ids uuid[],
    host_ids text[], kinds text[], dedup_keys text[],
    cleared_times timestamptz[], last_alert_ids uuid[],
    versions bigint[], last_seen_times timestamptz[], severities smallint[],
    act_times timestamptz[],
    host_names text[], host_labels text[],
    request_ids text[], remembered_since timestamptz
) RETURNS boolean
LANGUAGE plpgsql VOLATILE {_PLANS}
AS $function$
#variable_conflict use_column
DECLARE
    created bigint := 0;
    held bigint := 0;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RETURN false;
    END IF;
    IF cardinality(new_host_ids) > 0 THEN
        INSERT INTO alert_keys (host_id, kind, dedup_key, cleared_time, last_alert_id)
        SELECT new.host_id, new.kind, new.dedup_key, new.cleared_time, new.last_alert_id
        FROM unnest(new_host_ids, new_kinds, new_dedup_keys, new_cleared_times, new_last_alert_ids)
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
            FROM unnest(host_ids, kinds, dedup_keys, cleared_times, last_alert_ids)
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
            FROM unnest(host_ids, last_alert_ids, versions, last_seen_times, severities, act_times,
                        host_names, host_labels)
                 AS wanted (host_id, alert_id, version, last_seen_time, severity, act_time,
                            name, labels)
            LEFT JOIN alerts ON alerts.alert_id = wanted.alert_id
            LEFT JOIN hosts ON hosts.host_id = wanted.host_id
            WHERE alerts.version IS NOT DISTINCT FROM wanted.version
              AND alerts.last_seen_time IS NOT DISTINCT FROM wanted.last_seen_time
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

# Alerts of which nothing but their raising is known, and the keys whose latest they become.
_RAISE = f"""
CREATE FUNCTION raise_1(
    alert_ids uuid[], host_ids text[], kinds text[], dedup_keys text[], labels text[],
    raise_times timestamptz[], previous_alert_ids uuid[], host_labels text[],
    host_names text[], severities smallint[], messages text[], causes text[],
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
           new.time, new.time, new.previous_alert_id, new.host_labels::jsonb, new.host_name,
           new.severity, new.message, new.cause, 1, 1, 1
    FROM unnest(alert_ids, host_ids, kinds, dedup_keys, labels, raise_times, previous_alert_ids,
                host_labels, host_names, severities, messages, causes)
         AS new (alert_id, host_id, kind, dedup_key, labels, time, previous_alert_id,
                 host_labels, host_name, severity, message, cause);
    IF cardinality(key_host_ids) > 0 THEN
        PERFORM set_keys_1(key_host_ids, key_kinds, key_dedup_keys, key_cleared_times,
                           key_last_alert_ids);
    END IF;
    RETURN true;
END
$function$
"""  # noqa: S608 -- constants

_ALL = {"read_keys_1": _READ, "hold_unchanged_1": _HOLD, "raise_1": _RAISE}


def upgrade() -> None:
    for text in _ALL.values():
        op.execute(text)


def downgrade() -> None:
    for name in _ALL:
        op.execute(f"DROP FUNCTION {name}")
