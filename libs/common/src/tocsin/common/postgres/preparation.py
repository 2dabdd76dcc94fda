"""What a service asks of its database before it serves: that it answers, and has the schema."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

from tocsin.common.errors import UnavailableError
from tocsin.common.postgres.failures import told_plainly
from tocsin.common.postgres.migrator import migrate
from tocsin.common.postgres.reachable import wait_until_reachable
from tocsin.common.postgres.revisions import require_current_schema

if TYPE_CHECKING:
    from pathlib import Path


async def prepare(
    url: str,
    scripts: Path,
    *,
    patience: timedelta,
    migrate_first: bool = True,
    pooler: str | None = None,
) -> None:
    """Return once a database answers and its schema is the newest in `scripts`.

    It may go away and come back meanwhile, as long as it takes no longer than `patience` in all.
    Without `migrate_first` the schema is only looked at; with it, what comes after the code is put
    off while other servers are connected. `url` is a direct one; where the service
    goes through a `pooler`, that one has to answer too.

    Raises UnreachableError, and MigrationError when the schema is not, or cannot be made, the
    newest.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience.total_seconds()
    while True:
        left = timedelta(seconds=max(deadline - loop.time(), 0))
        for place in filter(None, (url, pooler)):
            await wait_until_reachable(place, left)
        try:
            with told_plainly():
                if migrate_first:
                    await migrate(url, scripts, considerate=True)
                else:
                    await require_current_schema(url, scripts)
        except UnavailableError:
            if loop.time() > deadline:
                raise
        else:
            return
