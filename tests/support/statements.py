"""What a piece of work asks of the database, and how PostgreSQL goes about it."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from tocsin.common.postgres.engine import Database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    import asyncpg

# What asyncpg asks by itself when it meets a type for the first time.
_OF_THE_DRIVER = ("'jit'", "typeinfo")
_DATA = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")


class Statement(NamedTuple):
    query: str
    arguments: tuple[Any, ...]


class RecordingDatabase(Database):
    """Keeps every statement on rows that goes through it; transactions and settings apart."""

    def __init__(self, url: str) -> None:
        super().__init__(url, application_name="tests")
        self.statements: list[Statement] = []

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.Connection]:
        async with super().connection() as connection:
            with connection.query_logger(self._keep):
                yield connection

    def _keep(self, record: Any) -> None:
        of_the_driver = any(word in record.query for word in _OF_THE_DRIVER)
        if record.query.lstrip().startswith(_DATA) and not of_the_driver:
            self.statements.append(Statement(record.query, tuple(record.args or ())))


class Plan(NamedTuple):
    """The plan of a statement, with what it met if it was run."""

    root: dict[str, Any]

    @property
    def nodes(self) -> list[dict[str, Any]]:
        return list(_nodes(self.root))

    @property
    def indexes(self) -> set[str]:
        return {node["Index Name"] for node in self.nodes if "Index Name" in node}

    @property
    def scanned_whole(self) -> set[str]:
        """The tables that were read without an index."""
        return {node["Relation Name"] for node in self.nodes if node["Node Type"] == "Seq Scan"}

    @property
    def is_sorted(self) -> bool:
        return any(node["Node Type"] == "Sort" for node in self.nodes)

    @property
    def rows_met(self) -> int:
        """How many rows its scans met, those that a filter removed included."""
        return sum(
            round(node["Actual Rows"] + node.get("Rows Removed by Filter", 0))
            * node["Actual Loops"]
            for node in self.nodes
            if "Scan" in node["Node Type"]
        )


async def plan_of(
    connection: asyncpg.Connection, query: str, *arguments: Any, run: bool = True
) -> Plan:
    """Return the plan of a statement, which is run unless told otherwise, and rolled back."""
    options = "ANALYZE, FORMAT JSON" if run else "FORMAT JSON"
    transaction = connection.transaction()
    await transaction.start()
    try:
        text = await connection.fetchval(f"EXPLAIN ({options}) {query}", *arguments)
    finally:
        await transaction.rollback()
    plans = json.loads(text) if isinstance(text, str) else text
    return Plan(plans[0]["Plan"])


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from _nodes(child)
