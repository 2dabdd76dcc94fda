"""The migrations and the tables in code are one schema."""

from __future__ import annotations

import pytest

from tocsin.common.postgres.schema import metadata_differences
from tocsin.notify.store.tables import metadata

pytestmark = pytest.mark.postgres


async def test_the_migrated_schema_equals_the_tables_in_code(notify_url: str) -> None:
    assert [] == await metadata_differences(notify_url, metadata)
