"""The functions of the queue: what an intake, a claim and a settlement ask is few calls of them.

Here is their only text. Each is several statements in one round trip, and in READ COMMITTED each
statement of a VOLATILE function sees what was committed before it began, as if the client had
sent it: what is read after a lock is what the holder before has left.

Their plans are kept (made once in a session, and not for each call) and cannot go wrong as tables
grow: they go from arrays of at most some thousand elements to rows by their keys, with nothing else
allowed. One that was made while a table was empty must serve for good, so it has no choice then:

* What is locked in an order is put into that order first, as an array, or an index would lead
  through a whole table for the sake of it. OFFSET keeps what is found apart from its ordering.
* What lies between a channel and an alert is found along `deliveries_by_alert`: pairs are compared
  as rows, which no index that begins with the channel serves, and `+ 0` keeps those out that hold
  all that waits. The alert alone would lead through all of its news to all channels.
* What is due is read along the one index that has its order, as sorting is switched off there; so
  is the look whether anything is held.

States and reasons are numbers: see delivery/statements.py, which has the order of locks too.

A later change of them, or of a table that they write, adds functions under new names: servers of
the version before call these ones until they are gone.
"""

from __future__ import annotations

from alembic import op

revision = "notify0006"
down_revision = "notify0005"
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

# The position moves if it is where the caller believes; without a `before_epoch` it stays. Then
# events and what is known of their alerts are kept, and the channels locked, so that none is
# deleted until the commit. One row: what was new, in which order, and what addressing goes by.
#
# `routes_stamp` names the routes as they are: it is another one after any change of any of them.
_TAKE_IN = f"""
CREATE FUNCTION take_in_1(
    before_epoch uuid, before_revision bigint, after_epoch uuid, after_revision bigint,
    now timestamptz, caught_up boolean,
    event_ids uuid[], event_epochs uuid[], event_revisions bigint[], event_are_synthetic boolean[],
    event_types smallint[], event_alert_ids uuid[], event_documents text[],
    event_quarantine_reasons text[], event_quarantined_payloads bytea[],
    known_ids uuid[], known_versions bigint[], known_payloads bytea[], known_documents text[],
    resolved_ids uuid[],
    raised_host_ids text[], raised_kinds text[], raised_dedup_keys text[]
) RETURNS TABLE (
    has_moved boolean,
    new_ids uuid[], sequences bigint[],
    channel_ids uuid[], channels_enabled boolean[],
    routes_stamp text, any_silences boolean, any_raised_before boolean,
    telling_channel_ids uuid[], telling_alert_ids uuid[], telling_route_ids uuid[],
    telling_group_keys text[]
)
LANGUAGE plpgsql VOLATILE {_PLANS}
AS $function$
#variable_conflict use_column
BEGIN
    has_moved := true;
    IF before_epoch IS NOT NULL THEN
        UPDATE follower_position
        SET epoch = after_epoch, revision = after_revision, update_time = now,
            caught_up_time = CASE WHEN caught_up THEN now ELSE caught_up_time END
        WHERE epoch = before_epoch AND revision = before_revision;
        has_moved := FOUND;
    END IF;
    IF NOT has_moved THEN
        RETURN NEXT;
        RETURN;
    END IF;
    IF cardinality(event_ids) > 0 THEN
        WITH kept AS (
            INSERT INTO inbox_events
                (event_id, epoch, revision, synthetic, type, alert_id, document,
                 quarantine_reason, quarantined_payload, receive_time)
            SELECT event_id, epoch, revision, synthetic, type, alert_id, document::jsonb,
                   quarantine_reason, quarantined_payload, now
            FROM unnest(event_ids, event_epochs, event_revisions, event_are_synthetic, event_types,
                        event_alert_ids, event_documents, event_quarantine_reasons,
                        event_quarantined_payloads)
                 WITH ORDINALITY
                 AS given (event_id, epoch, revision, synthetic, type, alert_id, document,
                           quarantine_reason, quarantined_payload, place)
            ORDER BY place
            ON CONFLICT (event_id) DO NOTHING
            RETURNING event_id, sequence
        )
        SELECT array_agg(kept.event_id), array_agg(kept.sequence) INTO new_ids, sequences FROM kept;
    END IF;
    IF new_ids IS NOT NULL THEN
        SELECT array_agg(locked.channel_id), array_agg(locked.enabled)
        INTO channel_ids, channels_enabled
        FROM (
            SELECT channel_id, enabled FROM channels WHERE delete_time IS NULL
            ORDER BY channel_id FOR SHARE
        ) AS locked;
        SELECT string_agg(route_id::text || ' ' || xmin::text, ',' ORDER BY route_id)
        INTO routes_stamp FROM routes;
        any_silences := EXISTS (SELECT FROM silences WHERE expire_time IS NULL);
        any_raised_before := EXISTS (
            SELECT FROM unnest(raised_host_ids, raised_kinds, raised_dedup_keys)
                        AS given (host_id, kind, dedup_key)
            JOIN flaps USING (host_id, kind, dedup_key)
        );
        SELECT array_agg(t.channel_id), array_agg(t.alert_id), array_agg(t.route_id),
               array_agg(t.group_key)
        INTO telling_channel_ids, telling_alert_ids, telling_route_ids, telling_group_keys
        FROM (SELECT DISTINCT alert_id FROM unnest(event_alert_ids) AS given (alert_id)) AS given
        JOIN tellings t USING (alert_id);
    END IF;
    IF cardinality(known_ids) > 0 THEN
        INSERT INTO known_alerts (alert_id, version, payload, document)
        SELECT alert_id, version, payload, document::jsonb
        FROM unnest(known_ids, known_versions, known_payloads, known_documents)
             AS given (alert_id, version, payload, document)
        ON CONFLICT (alert_id) DO UPDATE
        SET version = excluded.version, payload = excluded.payload, document = excluded.document;
    END IF;
    IF cardinality(resolved_ids) > 0 THEN
        DELETE FROM known_alerts USING unnest(resolved_ids) AS given (alert_id)
        WHERE known_alerts.alert_id = given.alert_id;
    END IF;
    RETURN NEXT;
END
$function$
"""  # noqa: S608 -- constants

# The tellings of these pairs are made where there are none, and locked, in the order given, which
# must be that of the key; then what waits for the same channels and alerts, in the order of ids.
# A row for each telling, with what waits.
_STAND_IN_LINE = f"""
CREATE FUNCTION stand_in_line_1(wanted_channel_ids uuid[], wanted_alert_ids uuid[])
RETURNS TABLE (
    channel_id uuid, alert_id uuid, route_id uuid, group_key text, maybe_told boolean,
    is_over boolean, reminder_count integer, next_reminder_time timestamptz,
    delivery_id uuid, state smallint, next_attempt_time timestamptz, collapsed_count integer,
    type smallint
)
LANGUAGE plpgsql VOLATILE {_PLANS}
AS $function$
#variable_conflict use_column
DECLARE
    made bigint;
    waiting_ids uuid[];
BEGIN
    INSERT INTO tellings (channel_id, alert_id, group_key, maybe_told, is_over, reminder_count)
    SELECT given.channel_id, given.alert_id, '', false, false, 0
    FROM unnest(wanted_channel_ids, wanted_alert_ids)
         WITH ORDINALITY AS given (channel_id, alert_id, place)
    ORDER BY given.place
    ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS made = ROW_COUNT;
    -- To what was never addressed there nothing waits.
    IF made = cardinality(wanted_channel_ids) THEN
        RETURN QUERY
        SELECT given.channel_id, given.alert_id, NULL::uuid, '', false, false, 0, NULL::timestamptz,
               NULL::uuid, NULL::smallint, NULL::timestamptz, NULL::integer, NULL::smallint
        FROM unnest(wanted_channel_ids, wanted_alert_ids) AS given (channel_id, alert_id);
        RETURN;
    END IF;
    PERFORM FROM unnest(wanted_channel_ids, wanted_alert_ids)
                 WITH ORDINALITY AS given (channel_id, alert_id, place)
    JOIN tellings t USING (channel_id, alert_id)
    ORDER BY given.place
    FOR UPDATE OF t;
    SELECT array_agg(found.delivery_id ORDER BY found.delivery_id) INTO waiting_ids
    FROM (
        SELECT d.delivery_id
        FROM unnest(wanted_channel_ids, wanted_alert_ids) AS given (channel_id, alert_id)
        JOIN deliveries d ON (d.alert_id, d.channel_id) >= (given.alert_id, given.channel_id)
         AND (d.alert_id, d.channel_id) <= (given.alert_id, given.channel_id)
         AND d.state + 0 IN (1, 6) AND d.carried_by IS NULL
        OFFSET 0
    ) AS found;
    PERFORM FROM unnest(waiting_ids) WITH ORDINALITY AS given (delivery_id, place)
    JOIN deliveries d USING (delivery_id)
    ORDER BY given.place
    FOR UPDATE OF d;
    RETURN QUERY
    SELECT t.channel_id, t.alert_id, t.route_id, t.group_key, t.maybe_told, t.is_over,
           t.reminder_count, t.next_reminder_time,
           d.delivery_id, d.state, d.next_attempt_time, d.collapsed_count, i.type
    FROM unnest(wanted_channel_ids, wanted_alert_ids) AS given (channel_id, alert_id)
    JOIN tellings t USING (channel_id, alert_id)
    LEFT JOIN deliveries d ON (d.alert_id, d.channel_id) >= (t.alert_id, t.channel_id)
          AND (d.alert_id, d.channel_id) <= (t.alert_id, t.channel_id)
          AND d.state + 0 IN (1, 6) AND d.carried_by IS NULL
    LEFT JOIN inbox_events i ON i.event_id = d.event_id;
END
$function$
"""  # noqa: S608 -- constants

# What waited and is superseded (7) gives way before the new ones come: one waits at a time. Then
# what intake knows of locked tellings; whether they were told is left to settling.
_ADDRESS = f"""
CREATE FUNCTION address_1(
    now timestamptz,
    superseded_ids uuid[], superseded_by_ids uuid[],
    ids uuid[], event_ids uuid[], channel_ids uuid[], alert_ids uuid[], sequences bigint[],
    due_times timestamptz[], newer_ids uuid[], route_ids uuid[], are_following boolean[],
    group_keys text[], collapsed_counts integer[], expire_times timestamptz[],
    telling_channel_ids uuid[], telling_alert_ids uuid[], telling_route_ids uuid[],
    telling_group_keys text[], telling_are_over boolean[], telling_reminder_counts integer[],
    telling_next_reminder_times timestamptz[]
) RETURNS boolean
LANGUAGE plpgsql VOLATILE {_PLANS}
AS $function$
#variable_conflict use_column
BEGIN
    IF cardinality(superseded_ids) > 0 THEN
        UPDATE deliveries d
        SET state = 7, state_reason = '', reason = 30, held_by = given.newer,
            next_attempt_time = NULL, settle_time = now
        FROM unnest(superseded_ids, superseded_by_ids) AS given (delivery_id, newer)
        WHERE d.delivery_id = given.delivery_id;
    END IF;
    IF cardinality(ids) > 0 THEN
        INSERT INTO deliveries
            (delivery_id, event_id, channel_id, alert_id, sequence, state, state_reason,
             attempt_count, retry_count, maybe_told, next_attempt_time, reason, held_by,
             route_id, follows, group_key, collapsed_count, expire_time, create_time, settle_time)
        SELECT delivery_id, event_id, channel_id, alert_id, sequence,
               CASE WHEN newer IS NULL THEN 1 ELSE 7 END, '', 0, 0, false,
               CASE WHEN newer IS NULL THEN due END, CASE WHEN newer IS NULL THEN 0 ELSE 30 END,
               newer, route_id, follows, group_key, collapsed_count, expire_time, now,
               CASE WHEN newer IS NOT NULL THEN now END
        FROM unnest(ids, event_ids, channel_ids, alert_ids, sequences, due_times, newer_ids,
                    route_ids, are_following, group_keys, collapsed_counts, expire_times)
             AS given (delivery_id, event_id, channel_id, alert_id, sequence, due, newer, route_id,
                       follows, group_key, collapsed_count, expire_time);
    END IF;
    IF cardinality(telling_channel_ids) > 0 THEN
        UPDATE tellings t
        SET route_id = given.route_id, group_key = given.group_key, is_over = given.is_over,
            reminder_count = given.reminder_count, next_reminder_time = given.next_reminder_time
        FROM unnest(telling_channel_ids, telling_alert_ids, telling_route_ids, telling_group_keys,
                    telling_are_over, telling_reminder_counts, telling_next_reminder_times)
             AS given (channel_id, alert_id, route_id, group_key, is_over, reminder_count,
                       next_reminder_time)
        WHERE t.channel_id = given.channel_id AND t.alert_id = given.alert_id;
    END IF;
    RETURN true;
END
$function$
"""  # noqa: S608 -- constants

# A claim becomes a lease (state 2), and its attempt a row.
_LEASE = f"""
CREATE FUNCTION lease_1(
    ids uuid[], tokens uuid[], types smallint[], until timestamptz, now timestamptz
) RETURNS boolean
LANGUAGE plpgsql VOLATILE {_PLANS}
AS $function$
#variable_conflict use_column
BEGIN
    WITH leased AS (
        UPDATE deliveries d
        SET state = 2, reason = 0, held_by = NULL, told_as = given.told_as,
            lease_token = given.token, lease_expire_time = until, next_attempt_time = NULL,
            attempt_count = d.attempt_count + 1
        FROM unnest(ids, tokens, types) AS given (delivery_id, token, told_as)
        WHERE d.delivery_id = given.delivery_id
        RETURNING d.delivery_id, d.attempt_count
    )
    INSERT INTO attempts (delivery_id, number, start_time, status_code, detail)
    SELECT delivery_id, attempt_count, now, 0, '' FROM leased;
    RETURN true;
END
$function$
"""  # noqa: S608 -- constants

# What the far side took, digests apart, which carry others. A row has a lease token only while it
# is being sent (deliveries_sending_has_lease). The tokens of those that were still held, for they
# alone are settled.
#
# The first news that a channel was told of an alert begins the wait for a reminder, where its
# route asks for one: the same rule as in delivery/settle_statements.py.
_SETTLE_DELIVERED = f"""
CREATE FUNCTION settle_delivered_1(
    ids uuid[], tokens uuid[], retry_counts integer[], status_codes integer[], details text[],
    finish_times timestamptz[]
) RETURNS uuid[]
LANGUAGE plpgsql VOLATILE {_PLANS}
AS $function$
DECLARE
    held uuid[];
    held_ids uuid[];
    numbers integer[];
    codes integer[];
    texts text[];
    times timestamptz[];
    channel_ids uuid[];
    alert_ids uuid[];
    types smallint[];
BEGIN
    SELECT array_agg(found.channel_id ORDER BY found.channel_id, found.alert_id),
           array_agg(found.alert_id ORDER BY found.channel_id, found.alert_id)
    INTO channel_ids, alert_ids
    FROM (
        SELECT d.channel_id, d.alert_id
        FROM unnest(ids, tokens) AS given (own_id, token)
        JOIN deliveries d ON d.delivery_id = given.own_id AND d.lease_token = given.token
        OFFSET 0
    ) AS found;
    PERFORM FROM unnest(channel_ids, alert_ids)
                 WITH ORDINALITY AS given (channel_id, alert_id, place)
    JOIN tellings t ON t.channel_id = given.channel_id AND t.alert_id = given.alert_id
    ORDER BY given.place
    FOR UPDATE OF t;

    WITH settled AS (
        UPDATE deliveries d
        SET state = 3, reason = 0, held_by = NULL, state_reason = '',
            retry_count = given.retry_count, next_attempt_time = NULL, maybe_told = true,
            settle_time = given.finish_time, lease_token = NULL, lease_expire_time = NULL
        FROM unnest(ids, tokens, retry_counts, status_codes, details, finish_times)
             AS given (own_id, token, retry_count, status_code, detail, finish_time)
        WHERE d.delivery_id = given.own_id AND d.lease_token = given.token
          AND NOT EXISTS (SELECT FROM deliveries c WHERE c.carried_by = given.own_id OFFSET 0)
        RETURNING given.own_id, given.token, d.attempt_count, given.status_code, given.detail,
                  given.finish_time, d.channel_id, d.alert_id, d.told_as
    )
    SELECT array_agg(token), array_agg(own_id), array_agg(attempt_count), array_agg(status_code),
           array_agg(detail), array_agg(finish_time), array_agg(channel_id), array_agg(alert_id),
           array_agg(told_as)
    INTO held, held_ids, numbers, codes, texts, times, channel_ids, alert_ids, types
    FROM settled;
    IF held IS NULL THEN
        RETURN '{{}}';
    END IF;

    UPDATE attempts a
    SET finish_time = given.finish_time, outcome = 1, status_code = given.status_code,
        detail = given.detail
    FROM unnest(held_ids, numbers, codes, texts, times)
         AS given (delivery_id, number, status_code, detail, finish_time)
    WHERE a.delivery_id = given.delivery_id AND a.number = given.number;

    UPDATE tellings t
    SET maybe_told = true,
        next_reminder_time = coalesce(t.next_reminder_time, CASE
            WHEN t.reminder_count = 0 AND NOT t.is_over AND coalesce(given.told_as, 1) NOT IN (4, 6)
            THEN given.finish_time + (
                SELECT make_interval(secs => (r.config -> 'reminders'
                                              ->> 'first_after_seconds')::double precision)
                FROM routes r WHERE r.route_id = t.route_id)
        END)
    FROM unnest(channel_ids, alert_ids, types, times)
         AS given (channel_id, alert_id, told_as, finish_time)
    WHERE t.channel_id = given.channel_id AND t.alert_id = given.alert_id
      AND (NOT t.maybe_told OR (t.next_reminder_time IS NULL AND EXISTS (
              SELECT FROM routes r
              WHERE r.route_id = t.route_id
                AND r.config -> 'reminders' ->> 'first_after_seconds' IS NOT NULL)));
    RETURN held;
END
$function$
"""  # noqa: S608 -- constants

# What of a channel is due and may have its turn, at most `look` of it, locked with its telling.
# What is locked is read as it is once it is locked. What somebody else has locked is left for the
# next claim. The last columns say whether there is anything at all that might hold what is due, or
# wait for it: mostly there is not, and then nobody asks for it.
_DUE = f"""
CREATE FUNCTION due_1(channel uuid, now timestamptz, look integer)
RETURNS TABLE (
    delivery_id uuid, alert_id uuid, attempt_count integer, retry_count integer, reason smallint,
    held_by uuid, told_as smallint, collapsed_count integer, expire_time timestamptz,
    type smallint, document text,
    channel_id uuid, route_id uuid, group_key text, maybe_told boolean, is_over boolean,
    reminder_count integer, next_reminder_time timestamptz,
    create_time timestamptz, any_silences boolean, any_flapping boolean, any_held boolean
)
LANGUAGE plpgsql VOLATILE {_PLANS}
SET enable_sort = off
AS $function$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH chosen AS (
        SELECT d.* FROM deliveries d
        WHERE d.channel_id = channel AND d.state IN (1, 6) AND d.next_attempt_time <= now
          AND NOT EXISTS (
              SELECT FROM deliveries other
              WHERE (other.alert_id, other.channel_id) >= (d.alert_id, d.channel_id)
                AND (other.alert_id, other.channel_id) <= (d.alert_id, d.channel_id)
                AND other.state + 0 IN (1, 2, 6)
                AND (other.state + 0 = 2 OR other.carried_by IS NOT NULL)
              OFFSET 0
          )
        ORDER BY d.next_attempt_time, d.sequence
        LIMIT look
        FOR UPDATE SKIP LOCKED
    )
    SELECT d.delivery_id, d.alert_id, d.attempt_count, d.retry_count, d.reason, d.held_by,
           d.told_as, d.collapsed_count, d.expire_time, i.type, i.document::text,
           t.channel_id, t.route_id, t.group_key, t.maybe_told, t.is_over, t.reminder_count,
           t.next_reminder_time,
           (SELECT first.create_time FROM deliveries first
             WHERE first.alert_id = d.alert_id AND first.channel_id = d.channel_id
             ORDER BY first.sequence LIMIT 1),
           (SELECT EXISTS (SELECT FROM silences WHERE expire_time IS NULL)),
           (SELECT EXISTS (SELECT FROM flaps WHERE subject_id IS NOT NULL)),
           (SELECT true FROM deliveries held
             WHERE held.state = 6 AND held.held_by IS NOT NULL
             ORDER BY held.held_by LIMIT 1) IS NOT NULL
      FROM chosen d
      JOIN tellings t ON t.channel_id = d.channel_id AND t.alert_id = d.alert_id
      JOIN inbox_events i ON i.event_id = d.event_id
     ORDER BY d.next_attempt_time, d.sequence
       FOR UPDATE OF t SKIP LOCKED;
END
$function$
"""  # noqa: S608 -- constants

_ALL = {
    "take_in_1": _TAKE_IN,
    "stand_in_line_1": _STAND_IN_LINE,
    "address_1": _ADDRESS,
    "lease_1": _LEASE,
    "settle_delivered_1": _SETTLE_DELIVERED,
    "due_1": _DUE,
}


def upgrade() -> None:
    for text in _ALL.values():
        op.execute(text)


def downgrade() -> None:
    for name in _ALL:
        op.execute(f"DROP FUNCTION {name}")
