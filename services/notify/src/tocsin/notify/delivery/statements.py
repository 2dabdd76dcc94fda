"""The SQL of the delivery queue.

States are written as numbers, not as parameters, so that the partial indexes serve: 1 PENDING,
2 SENDING, 3 DELIVERED, 5 DEAD, 6 HELD, 7 SUPERSEDED. So are reasons: 17 CARRIED, 30 COLLAPSED.

Locks are taken in one order everywhere: channel_states, tellings, deliveries by their ids. A claim
waits for none of the last two.
"""

CHANNEL = """
SELECT type, version, update_time, rate_limit::text FROM channels
 WHERE channel_id = $1 AND enabled AND delete_time IS NULL
"""

# Nothing else of the alert is under way: being sent, or carried by a digest. OFFSET keeps it a look
# into the index for each row; as a join it would read all that is under way.
_HAS_ITS_TURN = """
   AND NOT EXISTS (
           SELECT FROM deliveries other
            WHERE other.channel_id = d.channel_id AND other.alert_id = d.alert_id
              AND other.state IN (1, 2, 6)
              AND (other.state = 2 OR other.carried_by IS NOT NULL)
           OFFSET 0
       )
"""

# What is locked is read as it is once it is locked. A delivery whose telling somebody else has
# locked is left for the next claim.
_CASES = """
SELECT d.delivery_id, d.alert_id, d.attempt_count, d.retry_count, d.reason, d.held_by, d.told_as,
       d.collapsed_count, d.expire_time, i.type, i.document::text,
       t.channel_id, t.route_id, t.group_key, t.maybe_told, t.is_over, t.reminder_count,
       t.next_reminder_time,
       (SELECT first.create_time FROM deliveries first
         WHERE first.alert_id = d.alert_id AND first.channel_id = d.channel_id
         ORDER BY first.sequence LIMIT 1) AS create_time
  FROM chosen d
  JOIN tellings t ON t.channel_id = d.channel_id AND t.alert_id = d.alert_id
  JOIN inbox_events i ON i.event_id = d.event_id
 ORDER BY d.due_time, d.sequence
   FOR UPDATE OF t SKIP LOCKED
"""

DUE = f"""
WITH chosen AS (
    SELECT d.*, d.next_attempt_time AS due_time FROM deliveries d
     WHERE d.channel_id = $1 AND d.state IN (1, 6) AND d.next_attempt_time <= $2
    {_HAS_ITS_TURN}
     ORDER BY d.next_attempt_time, d.sequence
     LIMIT $3
       FOR UPDATE SKIP LOCKED
)
{_CASES}
"""  # noqa: S608 - of constants

# The others of some groups, whether or not they are due.
MATES = f"""
WITH chosen AS (
    SELECT d.*, d.create_time AS due_time FROM deliveries d
     WHERE d.channel_id = $1 AND d.group_key = ANY($2::text[]) AND d.group_key <> ''
       AND d.state IN (1, 6) AND d.carried_by IS NULL AND d.told_as IS NULL
       AND d.delivery_id <> ALL($3::uuid[])
    {_HAS_ITS_TURN}
     ORDER BY d.sequence
     LIMIT $4
       FOR UPDATE SKIP LOCKED
)
{_CASES}
"""  # noqa: S608 - of constants

ROUTES = """
SELECT route_id, position, display_name, enabled, channel_ids, config::text AS config, version,
       create_time, update_time
  FROM routes WHERE route_id = ANY($1::uuid[])
"""

HOLD = """
UPDATE deliveries d
   SET state = 6, reason = given.reason, held_by = given.by, next_attempt_time = given.until
  FROM unnest($1::uuid[], $2::smallint[], $3::uuid[], $4::timestamptz[])
       AS given (delivery_id, reason, by, until)
 WHERE d.delivery_id = given.delivery_id
"""

END = """
UPDATE deliveries d
   SET state = given.state, reason = given.reason, state_reason = given.text, held_by = NULL,
       next_attempt_time = NULL, settle_time = $5
  FROM unnest($1::uuid[], $2::smallint[], $3::smallint[], $4::text[])
       AS given (delivery_id, state, reason, text)
 WHERE d.delivery_id = given.delivery_id
"""

MADE = """
SELECT d.delivery_id, i.type, i.document::text
  FROM deliveries d JOIN inbox_events i ON i.event_id = d.event_id
 WHERE d.delivery_id = ANY($1::uuid[])
"""

# 13 is EXPLAINED: how many alerts these explain to a channel that hears of them only so.
EXPLAINED = """
SELECT held_by, count(*) FROM deliveries
 WHERE held_by = ANY($2::uuid[]) AND state = 6 AND reason = 13 AND channel_id = $1
 GROUP BY held_by
"""

LEASE = """
WITH leased AS (
    UPDATE deliveries d
       SET state = 2, reason = 0, held_by = NULL, told_as = given.told_as,
           lease_token = given.token, lease_expire_time = $4, next_attempt_time = NULL,
           attempt_count = d.attempt_count + 1
      FROM unnest($1::uuid[], $2::uuid[], $3::smallint[]) AS given (delivery_id, token, told_as)
     WHERE d.delivery_id = given.delivery_id
    RETURNING d.delivery_id, d.attempt_count
)
INSERT INTO attempts (delivery_id, number, start_time, status_code, detail)
SELECT delivery_id, attempt_count, $5, 0, '' FROM leased
"""

# What a digest carries ends with it. Where newer news wait behind what is to be retried, they take
# its place and its time; behind a digest that is to be retried they are put off until then: every
# claim would look at them.
#
# A newer one that came while this statement waited for its locks is not seen. It is told by the
# unique index `deliveries_one_waiting_per_alert`, and then the statement is run again.
SETTLE = """
WITH given AS (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::smallint[], $4::smallint[], $5::text[],
                         $6::integer[], $7::timestamptz[], $8::boolean[], $9::timestamptz[],
                         $10::smallint[], $11::integer[], $12::text[], $13::timestamptz[])
        AS given (own_id, token, state, reason, state_reason, retry_count, next_attempt_time,
                  maybe_told, settle_time, outcome, status_code, detail, finish_time)
), subject AS (
    SELECT given.own_id, d.delivery_id, d.channel_id, d.alert_id, d.told_as
      FROM given JOIN deliveries d ON d.delivery_id = given.own_id
       AND d.state = 2 AND d.lease_token = given.token
    UNION ALL
    SELECT given.own_id, d.delivery_id, d.channel_id, d.alert_id, d.told_as
      FROM given JOIN deliveries d ON d.carried_by = given.own_id AND d.state = 6
), known AS (
    SELECT t.channel_id, t.alert_id, t.route_id
      FROM tellings t JOIN subject USING (channel_id, alert_id)
     ORDER BY t.channel_id, t.alert_id FOR UPDATE OF t
), newer AS (
    SELECT subject.own_id, subject.delivery_id AS older_id, d.delivery_id
      FROM subject JOIN deliveries d
        ON d.channel_id = subject.channel_id AND d.alert_id = subject.alert_id
       AND d.state IN (1, 6) AND d.carried_by IS NULL
), held AS (
    SELECT d.delivery_id, d.state FROM deliveries d
     WHERE d.delivery_id IN (SELECT delivery_id FROM subject UNION SELECT delivery_id FROM newer)
       AND d.state IN (1, 2, 6) AND (SELECT count(*) FROM known) IS NOT NULL
     ORDER BY d.delivery_id FOR UPDATE
), behind AS (
    SELECT newer.* FROM newer JOIN held USING (delivery_id) JOIN given USING (own_id)
     WHERE given.state = 1
), settled AS (
    UPDATE deliveries d
       SET state = CASE WHEN behind.delivery_id IS NULL THEN given.state ELSE 7 END,
           reason = CASE WHEN behind.delivery_id IS NULL THEN given.reason ELSE 30 END,
           held_by = behind.delivery_id,
           state_reason = given.state_reason, retry_count = given.retry_count,
           next_attempt_time =
               CASE WHEN behind.delivery_id IS NULL THEN given.next_attempt_time END,
           maybe_told = d.maybe_told OR given.maybe_told,
           settle_time = CASE WHEN behind.delivery_id IS NULL THEN given.settle_time
                              ELSE given.finish_time END,
           lease_token = NULL, lease_expire_time = NULL
      FROM given JOIN held ON held.delivery_id = given.own_id
      LEFT JOIN behind ON behind.older_id = given.own_id
     WHERE d.delivery_id = given.own_id AND d.lease_token = given.token AND d.state = 2
    RETURNING given.*, d.attempt_count, d.collapsed_count
), carried AS (
    UPDATE deliveries d
       SET state = CASE WHEN settled.state = 1 THEN 6 ELSE settled.state END,
           reason = CASE WHEN settled.state = 5 THEN settled.reason ELSE 17 END,
           state_reason = CASE WHEN settled.state = 5 THEN settled.state_reason ELSE '' END,
           maybe_told = d.maybe_told OR settled.maybe_told,
           settle_time = settled.settle_time
      FROM settled JOIN subject USING (own_id)
     WHERE d.delivery_id = subject.delivery_id AND d.carried_by = settled.own_id AND d.state = 6
       AND (settled.state <> 1 OR settled.maybe_told)
), put_off AS (
    UPDATE deliveries d
       SET next_attempt_time = greatest(d.next_attempt_time, settled.next_attempt_time),
           collapsed_count = d.collapsed_count
                           + CASE WHEN behind.older_id = settled.own_id
                                  THEN settled.collapsed_count + 1 ELSE 0 END
      FROM settled JOIN behind USING (own_id)
     WHERE d.delivery_id = behind.delivery_id AND d.state IN (1, 6)
), told AS (
    UPDATE tellings t
       SET maybe_told = true,
           next_reminder_time = coalesce(t.next_reminder_time, CASE
               WHEN t.reminder_count = 0 AND NOT t.is_over
                    AND coalesce(subject.told_as, 1) NOT IN (4, 6)
               THEN settled.finish_time + remind.after
           END)
      FROM settled JOIN subject USING (own_id) JOIN known USING (channel_id, alert_id)
      LEFT JOIN routes r ON r.route_id = known.route_id
     CROSS JOIN LATERAL (
               SELECT make_interval(secs => (r.config -> 'reminders'
                                                      ->> 'first_after_seconds')::double precision)
           ) AS remind (after)
     WHERE t.channel_id = subject.channel_id AND t.alert_id = subject.alert_id
       AND settled.maybe_told
       AND (NOT t.maybe_told OR (t.next_reminder_time IS NULL AND remind.after IS NOT NULL))
), closed AS (
    UPDATE attempts a
       SET finish_time = settled.finish_time, outcome = settled.outcome,
           status_code = settled.status_code, detail = settled.detail
      FROM settled
     WHERE a.delivery_id = settled.own_id AND a.number = settled.attempt_count
)
SELECT token FROM settled
"""

# Without a lock: the tokens tell what is settled in the meantime.
LOST = """
SELECT delivery_id, lease_token, retry_count
  FROM deliveries
 WHERE state = 2 AND lease_expire_time <= $1
 ORDER BY lease_expire_time
 LIMIT $2
"""

NEXT_DUE = """
SELECT min(next_attempt_time) FROM deliveries
 WHERE channel_id = $1 AND state IN (1, 6) AND next_attempt_time > $2
"""
