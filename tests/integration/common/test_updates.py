"""An update in two phases: the version before serves until the second one."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tocsin.common.postgres.engine import Database
from tocsin.common.postgres.migrator import migrate
from tocsin.common.postgres.preparation import prepare
from tocsin.common.postgres.revisions import (
    MigrationError,
    Phase,
    SchemaState,
    current_revision,
    require_current_schema,
    schema_state,
)

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.postgres

ENVIRONMENT = """
from sqlalchemy import MetaData
from tocsin.common.postgres.upgrade import run_environment
run_environment(MetaData())
"""
MIGRATIONS = {
    "bell0001": (None, "CREATE TABLE rings (count int)"),
    "bell0002": ("before", "ALTER TABLE rings ADD COLUMN loud bool"),
    "bell0003": ("after", "ALTER TABLE rings DROP COLUMN count"),
}
AT_ONCE = timedelta()


@pytest.fixture
def version(tmp_path: Path) -> dict[int, Path]:
    """The migrations of each version of the code: the second one brings two of them."""
    return {1: scripts(tmp_path / "one", 1), 2: scripts(tmp_path / "two", 3)}


def scripts(folder: Path, count: int) -> Path:
    (folder / "versions").mkdir(parents=True)
    (folder / "env.py").write_text(ENVIRONMENT)
    previous = None
    for name, (phase, statement) in list(MIGRATIONS.items())[:count]:
        said = f'phase = "{phase}"\n' if phase else ""
        (folder / "versions" / f"{name}_ring.py").write_text(
            f"from alembic import op\nrevision = {name!r}\ndown_revision = {previous!r}\n{said}"
            f"def upgrade():\n    op.execute({statement!r})\n"
        )
        previous = name
    return folder


async def test_an_update_goes_by_its_phases(empty_url: str, version: dict[int, Path]) -> None:
    await migrate(empty_url, version[1])
    assert SchemaState("bell0001", "bell0001") == await schema_state(empty_url)

    await migrate(empty_url, version[2], phase=Phase.BEFORE)
    assert SchemaState("bell0002", "bell0001") == await schema_state(empty_url)
    for code in version.values():  # both serve, and may start
        await prepare(empty_url, code, patience=AT_ONCE, migrate_first=False)

    await migrate(empty_url, version[2], phase=Phase.AFTER)
    assert SchemaState("bell0003", "bell0003") == await schema_state(empty_url)
    with pytest.raises(MigrationError, match="bell0003, this version needs bell0001"):
        await require_current_schema(empty_url, version[1])


async def test_the_version_before_starts_on_a_schema_that_was_prepared_and_changes_nothing(
    empty_url: str, version: dict[int, Path]
) -> None:
    await migrate(empty_url, version[1])
    await migrate(empty_url, version[2], phase=Phase.BEFORE)

    await prepare(empty_url, version[1], patience=AT_ONCE)

    assert "bell0002" == await current_revision(empty_url)


async def test_the_version_before_refuses_what_removed_its_tables(
    empty_url: str, version: dict[int, Path]
) -> None:
    await migrate(empty_url, version[1])
    await migrate(empty_url, version[2])

    with pytest.raises(MigrationError, match=r"bell0003.*newer version of Tocsin"):
        await prepare(empty_url, version[1], patience=AT_ONCE)


async def test_a_server_that_starts_beside_another_one_puts_off_what_comes_after_the_code(
    empty_url: str, version: dict[int, Path]
) -> None:
    await migrate(empty_url, version[1])
    other = Database(empty_url, application_name="tocsin-bell")
    async with other.connection():
        await prepare(empty_url, version[2], patience=AT_ONCE)
        assert "bell0002" == await current_revision(empty_url)
    await other.close()

    await prepare(empty_url, version[2], patience=AT_ONCE)
    assert "bell0003" == await current_revision(empty_url)


async def test_a_database_of_before_there_were_phases_serves_only_its_own_version(
    empty_url: str, version: dict[int, Path]
) -> None:
    await migrate(empty_url, version[2])
    database = Database(empty_url, application_name="t")
    async with database.connection() as connection:
        await connection.execute("COMMENT ON TABLE alembic_version IS NULL")
    await database.close()

    assert SchemaState("bell0003", None) == await schema_state(empty_url)
    with pytest.raises(MigrationError, match="Migrate it first"):
        await require_current_schema(empty_url, version[1])
