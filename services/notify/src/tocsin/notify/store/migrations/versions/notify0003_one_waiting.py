"""At most one delivery of an alert waits for a channel: newer news took the place of older ones."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "notify0003"
down_revision = "notify0002"
branch_labels = None
depends_on = None

# Of several that wait (1 PENDING, 6 HELD) the newest stays. The others end as SUPERSEDED (7),
# COLLAPSED (30) into it; it stands for them too, and keeps the backoff that they were in.
_COLLAPSE = """
WITH waiting AS (
    SELECT delivery_id,
           first_value(delivery_id) OVER newest_first AS newest,
           row_number() OVER newest_first AS place
      FROM deliveries
     WHERE state IN (1, 6) AND carried_by IS NULL
    WINDOW newest_first AS (PARTITION BY channel_id, alert_id ORDER BY sequence DESC)
), older AS (
    UPDATE deliveries d
       SET state = 7, reason = 30, held_by = waiting.newest, state_reason = '',
           next_attempt_time = NULL, settle_time = now()
      FROM waiting
     WHERE d.delivery_id = waiting.delivery_id AND waiting.place > 1
    RETURNING waiting.newest, d.collapsed_count
), stood_for AS (
    SELECT newest, sum(collapsed_count + 1) AS count FROM older GROUP BY newest
)
UPDATE deliveries d
   SET collapsed_count = d.collapsed_count + stood_for.count
  FROM stood_for
 WHERE d.delivery_id = stood_for.newest
"""


def upgrade() -> None:
    op.execute(_COLLAPSE)
    op.create_index(
        "deliveries_one_waiting_per_alert",
        "deliveries",
        ["channel_id", "alert_id"],
        unique=True,
        postgresql_where=sa.text("state IN (1, 6) AND carried_by IS NULL"),
    )


def downgrade() -> None:
    op.drop_index("deliveries_one_waiting_per_alert", "deliveries")
