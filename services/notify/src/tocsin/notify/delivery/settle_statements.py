"""The SQL of settling, with the numbers and the order of locks of `statements`."""

# What the far side took, digests apart: nothing is carried by it, nothing is put off for it. Nearly
# all end so. migrations/versions/notify0006_queue_functions.py has its text.
SETTLE_DELIVERED = "SELECT settle_delivered_1($1, $2, $3, $4, $5, $6)"

# The first news that a channel was told of an alert begins the wait for a reminder, where its route
# asks for one: `told` has the same rule as that function.
#
# What a digest carries ends with it. Where newer news wait behind what is to be retried, they take
# its place and its time; behind a digest that is to be retried they are put off until then: every
# claim would look at them.
#
# What was claimed and not begun has no outcome: it is given back, and its attempt is undone.
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
           lease_token = NULL, lease_expire_time = NULL,
           attempt_count = d.attempt_count - CASE WHEN given.outcome IS NULL THEN 1 ELSE 0 END,
           told_as = CASE WHEN given.outcome IS NULL AND d.attempt_count = 1 THEN NULL
                          ELSE d.told_as END
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
       AND settled.outcome IS NOT NULL
), undone AS (
    DELETE FROM attempts a USING settled
     WHERE a.delivery_id = settled.own_id AND a.number = settled.attempt_count + 1
       AND settled.outcome IS NULL
)
SELECT token FROM settled
"""

# What was claimed took a token of its channel's bucket, and gives it back when it was not begun. A
# pause that the far side has asked for meanwhile has its own token.
REFUND = """
WITH given AS (
    SELECT channel_id, count(*) AS count FROM deliveries
     WHERE delivery_id = ANY($1::uuid[]) GROUP BY channel_id
), locked AS (
    SELECT s.channel_id FROM channel_states s JOIN given USING (channel_id)
     WHERE s.tokens_time <= $2
     ORDER BY s.channel_id FOR UPDATE OF s
)
UPDATE channel_states s SET tokens = s.tokens + given.count
  FROM given JOIN locked USING (channel_id)
 WHERE s.channel_id = given.channel_id AND s.tokens_time <= $2
"""
