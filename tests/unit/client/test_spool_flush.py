"""How what a spool keeps is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tocsin.client.backup_requests import report_job_finished, report_job_started
from tocsin.client.errors import (
    CallError,
    InternalError,
    InvalidArgumentError,
    PermissionDeniedError,
    UnavailableError,
)
from tocsin.client.spool import Spool
from tocsin.client.spool_flush import MAX_ATTEMPTS, Flushed, flush

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Service:
    """Takes reports; fails for the jobs that `fails` names."""

    def __init__(self) -> None:
        self.came: list[str] = []
        self.fails: dict[str, BaseException] = {}

    def send_job_started(self, report: Any) -> Any:
        self.take(f"{report.job_id} started")

    def send_job_finished(self, report: Any) -> Any:
        self.take(report.job_id)

    def take(self, name: str) -> None:
        if name in self.fails:
            raise self.fails[name]
        self.came.append(name)


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool(tmp_path / "spool.db") as spool:
        spool.add(report_job_started("a", "web-1", "backup"))
        for job_id in "abc":
            spool.add(report_job_finished(job_id, "web-1", "backup", "failed"))
        yield spool


def test_all_is_sent_once_and_in_order(spool: Spool, service: Service) -> None:
    assert Flushed(sent=4, left=0) == flush(spool, service)
    assert Flushed(sent=0, left=0) == flush(spool, service)
    assert ["a started", "a", "b", "c"] == service.came


def test_more_than_a_page_is_sent(tmp_path: Path, service: Service) -> None:
    expected = [str(number) for number in range(230)]
    with Spool(tmp_path / "many.db") as spool:
        for job_id in expected:
            spool.add(report_job_finished(job_id, "web-1", "backup", "failed"))
        flush(spool, service)
    assert expected == service.came


@pytest.mark.parametrize("error", [UnavailableError("away"), PermissionDeniedError("not you")])
def test_what_is_no_fault_of_the_report_stops_the_flush_before_it(
    spool: Spool, service: Service, error: CallError
) -> None:
    service.fails = {"b": error}
    assert Flushed(sent=2, left=2, error=error) == flush(spool, service)
    service.fails = {}
    flush(spool, service)
    assert ["a started", "a", "b", "c"] == service.came


def test_a_refused_report_is_set_aside_with_the_reason_and_blocks_nobody(
    spool: Spool, service: Service
) -> None:
    service.fails = {"a": InvalidArgumentError("kind: is required")}
    done = flush(spool, service)
    assert ["a started", "b", "c"] == service.came
    assert ["kind: is required (INVALID_ARGUMENT)"] == [each.reason for each in spool.set_aside()]
    assert "a of web-1: kind: is required" in done.refused[0]
    assert (3, 0) == (done.sent, done.left)


def test_a_fault_of_the_service_blocks_the_others_for_a_while_only(
    spool: Spool, service: Service
) -> None:
    service.fails = {"b": InternalError("a bug")}
    for _ in range(MAX_ATTEMPTS - 1):
        assert 2 == flush(spool, service).left
    assert 0 == flush(spool, service).left
    assert ["a started", "a", "c"] == service.came
    assert 1 == spool.counts().set_aside


def test_a_report_that_was_sent_but_not_removed_goes_again(spool: Spool, service: Service) -> None:
    class KilledError(BaseException):
        pass

    real = service.take

    def killed_after(name: str) -> None:
        real(name)
        raise KilledError

    service.take = killed_after  # type: ignore[method-assign]  # as if killed at that moment
    with pytest.raises(KilledError):
        flush(spool, service)
    service.take = real  # type: ignore[method-assign]
    flush(spool, service)
    assert ["a started", "a started", "a", "b", "c"] == service.came


def test_a_flush_ends_when_it_is_told_to(spool: Spool, service: Service) -> None:
    done = flush(spool, service, keep_on=lambda: len(service.came) < 2)
    assert Flushed(sent=2, left=2) == done


def test_a_flush_leaves_it_to_who_is_sending_already(spool: Spool, service: Service) -> None:
    with Spool(spool.path).sending(0):
        assert Flushed(sent=0, left=4) == flush(spool, service)
    assert [] == service.came


def test_a_report_that_comes_during_a_flush_is_sent_by_it(spool: Spool, service: Service) -> None:
    def busy() -> bool:
        if service.came == ["a started"]:
            spool.add(report_job_finished("d", "web-1", "backup", "failed"))
        return True

    assert Flushed(sent=5, left=0) == flush(spool, service, keep_on=busy)
    assert ["a started", "a", "b", "c", "d"] == service.came
