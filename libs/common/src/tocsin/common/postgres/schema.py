"""Compares the schema of a database with the tables in code, as PostgreSQL itself tells both."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from tocsin.common.postgres.connecting import connect, database_url

if TYPE_CHECKING:
    from sqlalchemy import MetaData
    from sqlalchemy.ext.asyncio import AsyncConnection

_COMPARED = "tocsin_compared"
_ALEMBIC = "alembic_version"

# One line for each table, column, constraint and index, names and options included.
_DESCRIPTION = text("""
SELECT 'table ' || relname || coalesce(' with ' || reloptions::text, '')
  FROM pg_class
 WHERE relnamespace = to_regnamespace(:schema) AND relkind IN ('r', 'p')
UNION ALL
SELECT 'column ' || relname || '.' || attname || ' ' || format_type(atttypid, atttypmod)
       || CASE WHEN attnotnull THEN ' not null' ELSE '' END
       || coalesce(' default ' || pg_get_expr(adbin, adrelid), '')
       || CASE WHEN attidentity <> '' THEN ' identity ' || attidentity::text ELSE '' END
  FROM pg_class
  JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped
  LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
 WHERE relnamespace = to_regnamespace(:schema) AND relkind IN ('r', 'p')
UNION ALL
SELECT 'constraint ' || conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid)
  FROM pg_constraint
 WHERE connamespace = to_regnamespace(:schema)
   AND contype <> 'n'  -- since PostgreSQL 18 NOT NULL is one, too
UNION ALL
SELECT 'index ' || pg_get_indexdef(indexrelid)
  FROM pg_index
  JOIN pg_class ON pg_class.oid = indexrelid
 WHERE relnamespace = to_regnamespace(:schema)
""")


async def metadata_differences(url: str, metadata: MetaData) -> list[str]:
    """Return what a migrated database has in `public` and the tables in code have not, and back.

    An empty list says that they are equal: tables with their storage options, columns with types
    and defaults, constraints and indexes with their predicates. The tables in code are made in a
    schema of their own and rolled back; the database is left as it was.
    """
    place = database_url(url)
    engine = create_async_engine(place, poolclass=NullPool, async_creator=partial(connect, place))
    try:
        async with engine.connect() as connection:
            migrated = await _description(connection, "public")
            await connection.execute(text(f"CREATE SCHEMA {_COMPARED}"))
            await connection.execute(text(f"SET LOCAL search_path = {_COMPARED}"))
            await connection.run_sync(metadata.create_all)
            in_code = await _description(connection, _COMPARED)
            await connection.rollback()
    finally:
        await engine.dispose()
    return [
        *(f"only in the database: {line}" for line in sorted(migrated - in_code)),
        *(f"only in code: {line}" for line in sorted(in_code - migrated)),
    ]


async def _description(connection: AsyncConnection, schema: str) -> set[str]:
    await connection.execute(text(f"SET LOCAL search_path = {schema}"))
    lines = await connection.scalars(_DESCRIPTION, {"schema": schema})
    # Where a name is qualified all the same (indexes are), it is by the schema.
    return {line.replace(f"{schema}.", "") for line in lines if _ALEMBIC not in line}
