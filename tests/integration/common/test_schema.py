from __future__ import annotations

import asyncpg
import pytest
from sqlalchemy import BigInteger, CheckConstraint, Column, Index, MetaData, Table, Text, text

from tocsin.common.postgres.schema import metadata_differences

pytestmark = pytest.mark.postgres

metadata = MetaData()
Table(
    "bells",
    metadata,
    Column("bell_id", BigInteger, primary_key=True, autoincrement=False),
    Column("tower", Text, nullable=False, server_default=text("'north'")),
    CheckConstraint("bell_id > 0", name="bells_are_counted"),
    Index("bells_by_tower", "tower", postgresql_where=text("bell_id > 10")),
    postgresql_with={"fillfactor": "80"},
)

EQUAL = """
CREATE TABLE bells (
    bell_id bigint PRIMARY KEY,
    tower text NOT NULL DEFAULT 'north',
    CONSTRAINT bells_are_counted CHECK (bell_id > 0)
) WITH (fillfactor = 80);
CREATE INDEX bells_by_tower ON bells (tower) WHERE bell_id > 10;
CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY);
"""


async def differences(url: str, script: str) -> list[str]:
    connection = await asyncpg.connect(url)
    await connection.execute(script)
    await connection.close()
    return await metadata_differences(url, metadata)


async def test_equal_schemas_have_no_differences_and_comparing_changes_nothing(
    empty_url: str,
) -> None:
    assert [] == await differences(empty_url, EQUAL)
    assert [] == await metadata_differences(empty_url, metadata)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("DROP TABLE bells", "table bells"),
        ("CREATE TABLE ropes (x int)", "only in the database: table ropes"),
        ("ALTER TABLE bells ADD pitch int", "only in the database: column bells.pitch integer"),
        ("ALTER TABLE bells ALTER tower DROP DEFAULT", "column bells.tower text not null default"),
        ("ALTER TABLE bells ALTER tower DROP NOT NULL", "column bells.tower text default"),
        ("ALTER TABLE bells ALTER bell_id TYPE int", "column bells.bell_id integer"),
        ("ALTER TABLE bells DROP CONSTRAINT bells_are_counted", "CHECK ((bell_id > 0))"),
        ("ALTER TABLE bells SET (fillfactor = 70)", "fillfactor=70"),
        ("DROP INDEX bells_by_tower", "only in code: index CREATE INDEX bells_by_tower"),
        (
            "DROP INDEX bells_by_tower; CREATE INDEX bells_by_tower ON bells (tower)",
            "WHERE (bell_id > 10)",
        ),
    ],
)
async def test_every_difference_is_told(empty_url: str, change: str, told: str) -> None:
    found = await differences(empty_url, EQUAL + change)

    assert any(told in line for line in found), found
