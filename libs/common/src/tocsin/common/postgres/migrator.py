"""Schema migrations: brings a database to the revision that the code needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.common.postgres.revisions import head_revision, schema_state

if TYPE_CHECKING:
    from pathlib import Path

    from tocsin.common.postgres.revisions import Phase


async def migrate(
    url: str, scripts: Path, *, phase: Phase | None = None, considerate: bool = False
) -> None:
    """Bring a database to the newest revision in `scripts` (a folder with env.py and versions/).

    With a `phase` only as far as that goes; a database that was never migrated goes all the way.
    When `considerate`, what comes after the code is put off while other servers are connected:
    they may be of an older version. Any number of processes may migrate at once: one works, the
    others wait for it. A newer schema on which this code can serve is left as it is.

    Raises MigrationError when the database is ahead of `scripts` and does not serve this code, when
    phases of several versions would be mixed, or when another process has held the lock for two
    minutes.
    """
    state, head = await schema_state(url), head_revision(scripts)
    if state.revision == head:
        return
    if head is not None and (state.revision or "") > head and state.serves(head):
        return
    from tocsin.common.postgres.upgrade import upgrade

    await upgrade(url, scripts, phase=phase, considerate=considerate)
