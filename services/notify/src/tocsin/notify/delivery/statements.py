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

SETTLE = """
WITH settled AS (
    UPDATE deliveries
       SET state = $3, state_reason = $4, retry_count = $5, next_attempt_time = $6,
           maybe_told = maybe_told OR $7, settle_time = $8,
           lease_token = NULL, lease_expire_time = NULL
     WHERE delivery_id = $1 AND lease_token = $2 AND state = 2
    RETURNING delivery_id, attempt_count
)
UPDATE attempts
   SET finish_time = $9, outcome = $10, status_code = $11, detail = $12
  FROM settled
 WHERE attempts.delivery_id = settled.delivery_id AND attempts.number = settled.attempt_count
RETURNING attempts.number
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
