from __future__ import annotations

from datetime import timedelta

import pytest

from tocsin.common.errors import UnavailableError
from tocsin.common.postgres.patient_start import PatientStart
from tocsin.common.postgres.reachable import UnreachableError


class Services:
    """Makes services of which the first ones fail to start."""

    def __init__(self, failures: int, error: type[Exception] = UnavailableError) -> None:
        self.made = 0
        self.stops: list[int] = []
        self._failures = failures
        self._error = error

    def __call__(self) -> Service:
        self.made += 1
        return Service(self, self.made)

    def start(self, number: int) -> None:
        if number <= self._failures:
            raise self._error("no")


class Service:
    def __init__(self, services: Services, number: int) -> None:
        self._services = services
        self._number = number

    async def start(self) -> None:
        self._services.start(self._number)

    async def stop(self) -> None:
        self._services.stops.append(self._number)


async def test_a_service_whose_database_goes_away_while_it_starts_is_started_again() -> None:
    services = Services(failures=2)

    await PatientStart(services, timedelta(minutes=1)).start()

    assert 3 == services.made


async def test_a_start_without_a_database_fails_when_its_patience_is_over() -> None:
    services = Services(failures=1)

    with pytest.raises(UnreachableError, match="not for long enough to start"):
        await PatientStart(services, timedelta()).start()

    assert 1 == services.made


async def test_what_waiting_does_not_mend_fails_at_once() -> None:
    services = Services(failures=1, error=ValueError)

    with pytest.raises(ValueError, match="no"):
        await PatientStart(services, timedelta(minutes=1)).start()

    assert 1 == services.made


async def test_the_service_that_was_started_last_is_stopped() -> None:
    services = Services(failures=1)
    service = PatientStart(services, timedelta(minutes=1))
    await service.start()

    await service.stop()

    assert [2] == services.stops


async def test_what_was_never_started_is_stopped_without_a_word() -> None:
    services = Services(failures=0)

    await PatientStart(services, timedelta()).stop()

    assert [] == services.stops
