"""The alert service over a real connection, with the test's clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.alert import RunningAlert, running_alert

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from support.clock import ManualClock


@pytest.fixture
async def alert(alert_url: str, clock: ManualClock) -> AsyncIterator[RunningAlert]:
    async with running_alert(alert_url, clock=clock) as running:
        yield running
