"""The SQL of the delivery queue.

States are written as numbers, not as parameters, so that the partial indexes serve: 1 PENDING,
2 SENDING, 3 DELIVERED, 5 DEAD, 6 HELD, 7 SUPERSEDED. So are reasons: 17 CARRIED, 30 COLLAPSED.

Locks are taken in one order everywhere: channel_states, tellings, deliveries by their ids. A claim
waits for none of the last two.
"""

# The state is locked until the end of the claim: one at a time chooses by its tokens.
CHANNEL = """
SELECT c.type, c.version, c.update_time, c.rate_limit::text AS rate_limit, s.*
  FROM channels c JOIN channel_states s ON s.channel_id = c.channel_id
 WHERE c.channel_id = $1 AND c.enabled AND c.delete_time IS NULL
   FOR UPDATE OF s
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
# locked is left for the next claim. The last columns say whether there is anything at all that
# might hold what is due, or wait for it: mostly there is not, and then nobody asks for it.
_CASES = """
SELECT d.delivery_id, d.alert_id, d.attempt_count, d.retry_count, d.reason, d.held_by, d.told_as,
       d.collapsed_count, d.expire_time, i.type, i.document::text,
       t.channel_id, t.route_id, t.group_key, t.maybe_told, t.is_over, t.reminder_count,
       t.next_reminder_time,
       (SELECT first.create_time FROM deliveries first
         WHERE first.alert_id = d.alert_id AND first.channel_id = d.channel_id
         ORDER BY first.sequence LIMIT 1) AS create_time,
       (SELECT EXISTS (SELECT FROM silences WHERE expire_time IS NULL)) AS any_silences,
       (SELECT EXISTS (SELECT FROM flaps WHERE subject_id IS NOT NULL)) AS any_flapping,
       (SELECT EXISTS (SELECT FROM deliveries held
                        WHERE held.state = 6 AND held.held_by IS NOT NULL)) AS any_held
  FROM chosen d
  JOIN tellings t ON t.channel_id = d.channel_id AND t.alert_id = d.alert_id
  JOIN inbox_events i ON i.event_id = d.event_id
 ORDER BY d.due_time, d.sequence
   FOR UPDATE OF t SKIP LOCKED
"""

# What is due, in the same columns; migrations/versions/notify0006_queue_functions.py has its text.
DUE = "SELECT * FROM due_1($1, $2, $3)"

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

LEASE = "SELECT lease_1($1, $2, $3, $4, $5)"

# Without a lock: the tokens tell what is settled in the meantime.
LOST = """
SELECT delivery_id, lease_token, retry_count
  FROM deliveries
 WHERE state = 2 AND (lease_expire_time <= $1 OR lease_expire_time > $3)
 ORDER BY lease_expire_time
 LIMIT $2
"""

FIRST_DUE = """
SELECT next_attempt_time FROM deliveries
 WHERE channel_id = $1 AND state IN (1, 6) AND next_attempt_time IS NOT NULL
 ORDER BY next_attempt_time LIMIT 1
"""

NEXT_DUE = """
SELECT next_attempt_time FROM deliveries
 WHERE channel_id = $1 AND state IN (1, 6) AND next_attempt_time > $2
 ORDER BY next_attempt_time LIMIT 1
"""
