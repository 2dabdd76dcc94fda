"""Whether any key flaps is known without a look at all that were raised lately."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "notify0004"
down_revision = "notify0003"
branch_labels = None
depends_on = None
phase = "before"


def upgrade() -> None:
    op.create_index(
        "flaps_flapping",
        "flaps",
        ["until_time"],
        postgresql_where=sa.text("subject_id IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("flaps_flapping", "flaps")
