from __future__ import annotations

import pytest

from tocsin.alert.store.tables import metadata
from tocsin.common.postgres.schema import metadata_differences

pytestmark = pytest.mark.postgres


async def test_the_migrated_schema_equals_the_tables_in_code(alert_url: str) -> None:
    assert [] == await metadata_differences(alert_url, metadata)
