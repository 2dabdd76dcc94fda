"""Schema migrations: brings a database to the revision that the code needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.common.postgres.revisions import current_revision, head_revision

if TYPE_CHECKING:
    from pathlib import Path


async def migrate(url: str, scripts: Path) -> None:
    """Bring a database to the newest revision in `scripts` (a folder with env.py and versions/).

    Any number of processes may do this at once: one works, the others wait for it.

    Raises MigrationError when the database is ahead of `scripts`, or when another process has
    held the lock for two minutes.
    """
    if await current_revision(url) != head_revision(scripts):
        from tocsin.common.postgres.upgrade import upgrade

        await upgrade(url, scripts)
