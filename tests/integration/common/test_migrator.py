from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest
from alembic.script import ScriptDirectory

from support.postgres import migrations_of
from tocsin.common.postgres.migrator import migrate
from tocsin.common.postgres.revisions import (
    MigrationError,
    current_revision,
    head_revision,
    require_current_schema,
)

if TYPE_CHECKING:
    from support.postgres import NewDatabase

pytestmark = pytest.mark.postgres

ENVIRONMENT = """
from sqlalchemy import MetaData
from tocsin.common.postgres.upgrade import run_environment
run_environment(MetaData())
"""

REVISION = """
from alembic import op
revision = {revision!r}
down_revision = {previous!r}

def upgrade():
    op.execute({statement!r})

def downgrade():
    pass
"""


class Scripts:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "versions").mkdir(parents=True)
        (folder / "env.py").write_text(ENVIRONMENT)
        self._last: str | None = None

    def add(self, revision: str, statement: str) -> Scripts:
        text = REVISION.format(revision=revision, previous=self._last, statement=statement)
        (self.folder / "versions" / f"{revision}.py").write_text(text)
        self._last = revision
        return self


@pytest.fixture
def scripts(tmp_path: Path) -> Scripts:
    return Scripts(tmp_path / "100% odd, folder")


async def ask(url: str, query: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def test_an_empty_database_is_brought_to_the_newest_revision(
    empty_url: str, scripts: Scripts
) -> None:
    scripts.add("0001", "CREATE TABLE one (x int)").add("0002", "CREATE TABLE two (x int)")

    assert await current_revision(empty_url) is None
    await migrate(empty_url, scripts.folder)

    assert "0002" == await current_revision(empty_url) == head_revision(scripts.folder)
    assert 0 == await ask(empty_url, "SELECT count(*) FROM two")


@pytest.mark.parametrize("service", ["alert", "notify"])
def test_a_file_is_named_by_its_revision(service: str) -> None:
    scripts = ScriptDirectory(migrations_of(service))

    assert scripts.get_current_head() == head_revision(migrations_of(service))
    for each in scripts.walk_revisions():
        assert Path(each.path).stem.split("_")[0] == each.revision


async def test_migrating_twice_changes_nothing(empty_url: str, scripts: Scripts) -> None:
    scripts.add("0001", "CREATE TABLE one (x int)")
    await migrate(empty_url, scripts.folder)
    await migrate(empty_url, scripts.folder)

    assert "0001" == await current_revision(empty_url)


async def test_many_at_once_migrate_one_after_the_other(empty_url: str, scripts: Scripts) -> None:
    scripts.add("0001", "CREATE TABLE one AS SELECT 1 AS x FROM pg_sleep(0.3)")

    await asyncio.gather(*(migrate(empty_url, scripts.folder) for _ in range(5)))

    assert "0001" == await current_revision(empty_url)


async def test_those_who_wait_do_not_stand_in_the_way_of_an_index_built_concurrently(
    empty_url: str, scripts: Scripts
) -> None:
    scripts.add("0001", "CREATE TABLE one (x int)")
    await migrate(empty_url, scripts.folder)
    text = REVISION.format(revision="0002", previous="0001", statement="")
    text = text.replace(
        "op.execute('')",
        "\n    with op.get_context().autocommit_block():\n"
        "        op.execute('CREATE INDEX CONCURRENTLY one_by_x ON one (x)')",
    )
    (scripts.folder / "versions" / "0002.py").write_text(text)

    async with asyncio.timeout(20):
        await asyncio.gather(*(migrate(empty_url, scripts.folder) for _ in range(4)))

    assert "0002" == await current_revision(empty_url)


async def test_a_failing_migration_keeps_those_before_it_and_frees_the_lock(
    empty_url: str, scripts: Scripts
) -> None:
    scripts.add("0001", "CREATE TABLE one (x int)").add("0002", "SELECT no_such_function()")
    with pytest.raises(Exception, match="no_such_function"):
        await migrate(empty_url, scripts.folder)

    assert "0001" == await current_revision(empty_url)
    assert 0 == await ask(empty_url, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")


async def test_a_database_that_is_ahead_is_told_and_left_alone(
    empty_url: str, scripts: Scripts, tmp_path: Path
) -> None:
    newer = Scripts(tmp_path / "newer").add("9999", "CREATE TABLE future (x int)")
    await migrate(empty_url, newer.folder)
    scripts.add("0001", "CREATE TABLE one (x int)")

    with pytest.raises(MigrationError, match=r"9999.*newer version of Tocsin"):
        await migrate(empty_url, scripts.folder)

    assert "9999" == await current_revision(empty_url)


async def test_a_lock_that_is_never_freed_is_told(
    empty_url: str, scripts: Scripts, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripts.add("0001", "CREATE TABLE one (x int)")
    monkeypatch.setattr("tocsin.common.postgres.upgrade._LOCK_WAIT_SECONDS", 0.2)
    holder = await asyncpg.connect(empty_url)
    await holder.execute(f"SELECT pg_advisory_lock({0x746F6373696E})")
    try:
        with pytest.raises(MigrationError, match="Another process"):
            await migrate(empty_url, scripts.folder)
    finally:
        await holder.close()


@pytest.mark.parametrize(("service", "other"), [("alert", "notify"), ("notify", "alert")])
async def test_the_database_of_the_other_service_is_refused_and_left_alone(
    new_database: NewDatabase, service: str, other: str
) -> None:
    url = await new_database(other)

    with pytest.raises(MigrationError, match="belongs to another service"):
        await migrate(url, migrations_of(service))
    with pytest.raises(MigrationError, match="is at revision"):
        await require_current_schema(url, migrations_of(service))

    assert head_revision(migrations_of(other)) == await current_revision(url)
