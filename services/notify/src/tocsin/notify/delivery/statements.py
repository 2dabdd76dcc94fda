"""The SQL of the delivery queue.

States are written as numbers, not as parameters, so that the partial indexes serve: 1 PENDING,
2 SENDING, 4 SUPPRESSED.
"""

DUE = """
SELECT d.delivery_id, d.attempt_count, d.retry_count, c.version, i.type, i.document::text,
       EXISTS (
           SELECT FROM deliveries told
            WHERE told.channel_id = d.channel_id AND told.alert_id = d.alert_id
              AND told.sequence <= d.sequence AND told.maybe_told
       ) AS maybe_told
  FROM deliveries d
  JOIN channels c ON c.channel_id = d.channel_id AND c.enabled AND c.delete_time IS NULL
  JOIN inbox_events i ON i.event_id = d.event_id
 WHERE d.channel_id = $1 AND d.state = 1 AND d.next_attempt_time <= $2
   AND NOT EXISTS (
           SELECT FROM deliveries other
            WHERE other.channel_id = d.channel_id AND other.alert_id = d.alert_id
              AND other.state IN (1, 2)
              AND (other.sequence < d.sequence OR other.state = 2)
       )
 ORDER BY d.next_attempt_time, d.sequence
 LIMIT $3
   FOR UPDATE OF d SKIP LOCKED
"""

SUPPRESS = """
UPDATE deliveries d
   SET state = 4, state_reason = given.reason, next_attempt_time = NULL, settle_time = $3
  FROM unnest($1::uuid[], $2::text[]) AS given (delivery_id, reason)
 WHERE d.delivery_id = given.delivery_id
"""

LEASE = """
WITH leased AS (
    UPDATE deliveries d
       SET state = 2, lease_token = given.token, lease_expire_time = $3,
           next_attempt_time = NULL, attempt_count = d.attempt_count + 1
      FROM unnest($1::uuid[], $2::uuid[]) AS given (delivery_id, token)
     WHERE d.delivery_id = given.delivery_id
    RETURNING d.delivery_id, d.attempt_count
)
INSERT INTO attempts (delivery_id, number, start_time, status_code, detail)
SELECT delivery_id, attempt_count, $4, 0, '' FROM leased
"""

# Rows are locked in the order of their ids, as `store.deliveries` does it too: no deadlocks. What
# waits behind a delivery that is tried again later is put off until then. It could not be claimed
# before anyway, but every claim would look at it.
SETTLE = """
WITH given AS (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::smallint[], $4::text[], $5::integer[],
                         $6::timestamptz[], $7::boolean[], $8::timestamptz[], $9::smallint[],
                         $10::integer[], $11::text[], $12::timestamptz[])
        AS given (delivery_id, token, state, reason, retry_count, next_attempt_time, maybe_told,
                  settle_time, outcome, status_code, detail, finish_time)
), held AS (
    SELECT delivery_id FROM deliveries
     WHERE delivery_id = ANY($1::uuid[]) AND state = 2
     ORDER BY delivery_id FOR UPDATE
), settled AS (
    UPDATE deliveries d
       SET state = given.state, state_reason = given.reason, retry_count = given.retry_count,
           next_attempt_time = given.next_attempt_time,
           maybe_told = d.maybe_told OR given.maybe_told, settle_time = given.settle_time,
           lease_token = NULL, lease_expire_time = NULL
      FROM given JOIN held USING (delivery_id)
     WHERE d.delivery_id = given.delivery_id AND d.lease_token = given.token AND d.state = 2
    RETURNING given.*, d.channel_id, d.alert_id, d.sequence, d.attempt_count
), put_off AS (
    UPDATE deliveries d SET next_attempt_time = behind.next_attempt_time
      FROM (SELECT later.delivery_id, settled.next_attempt_time
              FROM settled
              JOIN deliveries later
                ON later.channel_id = settled.channel_id AND later.alert_id = settled.alert_id
               AND later.sequence > settled.sequence AND later.state = 1
             WHERE later.next_attempt_time < settled.next_attempt_time
               FOR UPDATE OF later SKIP LOCKED) behind
     WHERE d.delivery_id = behind.delivery_id
), closed AS (
    UPDATE attempts a
       SET finish_time = settled.finish_time, outcome = settled.outcome,
           status_code = settled.status_code, detail = settled.detail
      FROM settled
     WHERE a.delivery_id = settled.delivery_id AND a.number = settled.attempt_count
)
SELECT token FROM settled
"""

LOST = """
SELECT delivery_id, lease_token, retry_count
  FROM deliveries
 WHERE state = 2 AND lease_expire_time <= $1
 ORDER BY lease_expire_time
 LIMIT $2
   FOR UPDATE SKIP LOCKED
"""

NEXT_DUE = """
SELECT min(next_attempt_time) FROM deliveries
 WHERE channel_id = $1 AND state = 1 AND next_attempt_time > $2
"""
