"""What the spool keeps, and what it drops."""

from __future__ import annotations

import os
import sqlite3
import stat
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from support.report_taker import job_id, taking
from tocsin.client.backup_requests import report_job_finished, report_job_started
from tocsin.client.moments import Moment
from tocsin.client.spool import Spool, SpoolBounds, SpoolCounts, Spooled
from tocsin.client.spool_file import SpoolError, default_path

if TYPE_CHECKING:
    from pathlib import Path

    from google.protobuf.timestamp_pb2 import Timestamp

    from tocsin.api.alert.v1.backup_service_pb2 import (
        ReportJobFinishedRequest,
        ReportJobStartedRequest,
    )

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


class Machine:
    """A clock of a machine whose wall clock can be turned and which can be booted anew."""

    def __init__(self) -> None:
        self.wall = NOON
        self.uptime = timedelta(hours=5)
        self.boot_id = "boot-1"

    def __call__(self) -> Moment:
        return Moment(self.wall, self.uptime, self.boot_id)

    def passes(self, length: timedelta) -> None:
        self.wall += length
        self.uptime += length

    def boots(self) -> None:
        self.uptime = timedelta(0)
        self.boot_id = f"{self.boot_id}-again"


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "spool.db"


def start(job_id: str) -> ReportJobStartedRequest:
    return report_job_started(job_id, "web-1", "backup", source_group_id="home")


def end(job_id: str, *, text: str = "") -> ReportJobFinishedRequest:
    return report_job_finished(
        job_id, "web-1", "backup", "failed", source_group_id="home", error_text=text
    )


def time_of(kept: Spooled, now: Moment, field: str) -> datetime:
    """Return a time of a report as it would be sent now."""
    stamp: Timestamp = getattr(kept.as_of(now), field)
    return stamp.ToDatetime(tzinfo=UTC)


def jobs(spool: Spool) -> list[str]:
    return [each.report.job_id for each in spool.waiting()]


def test_reports_come_out_in_the_order_in_which_they_were_taken(path: Path) -> None:
    with Spool(path) as spool:
        for job_id in ("b", "a", "c"):
            spool.add(start(job_id))
            spool.add(end(job_id))
        assert ["b", "b", "a", "a", "c", "c"] == jobs(spool)


def test_a_removed_number_never_comes_again(path: Path) -> None:
    with Spool(path) as spool:
        spool.add(end("a"))
        (first,) = spool.waiting()
        spool.remove(first.number)
        spool.add(end("b"))
        assert spool.waiting()[0].number > first.number


def test_what_was_added_is_there_for_the_next_process(path: Path) -> None:
    with Spool(path) as spool:
        spool.add(end("a", text="wrong password"))
    with Spool(path) as spool:
        (kept,) = spool.waiting()
    assert end("a", text="wrong password").error_text in str(kept.report)


def test_the_file_is_for_its_owner_only(path: Path) -> None:
    with Spool(path) as spool:
        spool.add(end("a", text="a secret path"))
        modes = {stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
    assert {0o600} == modes
    assert 0o700 == stat.S_IMODE(path.parent.stat().st_mode)


def test_a_commit_is_on_the_disk_before_add_returns(path: Path) -> None:
    with Spool(path) as spool:
        spool.add(end("a"))
        assert spool._opened is not None
        assert ("wal",) == spool._opened.execute("PRAGMA journal_mode").fetchone()
        assert (2,) == spool._opened.execute("PRAGMA synchronous").fetchone()


def test_a_report_without_a_time_gets_that_of_its_adding(path: Path, machine: Machine) -> None:
    with Spool(path, machine) as spool:
        spool.add(start("a"))
        spool.add(end("a"))
        machine.passes(timedelta(hours=9))
        started, ended = spool.waiting()
    assert NOON == time_of(started, machine(), "start_time")
    assert NOON == time_of(ended, machine(), "finish_time")
    assert not ended.as_of(machine()).HasField("start_time")


def test_times_follow_a_clock_that_was_turned_meanwhile(path: Path, machine: Machine) -> None:
    began = NOON - timedelta(minutes=10)
    with Spool(path, machine) as spool:
        spool.add(report_job_finished("a", "web-1", "backup", "failed", start_time=began))
        machine.passes(timedelta(hours=1))
        machine.wall += timedelta(days=1)
        (kept,) = spool.waiting()
    assert machine.wall - timedelta(hours=1) == time_of(kept, machine(), "finish_time")
    assert machine.wall - timedelta(minutes=70) == time_of(kept, machine(), "start_time")


def test_over_a_boot_times_stay_as_the_clock_told_them(path: Path, machine: Machine) -> None:
    with Spool(path, machine) as spool:
        spool.add(end("a"))
        machine.boots()
        machine.wall += timedelta(days=1)
        (kept,) = spool.waiting()
    assert NOON == time_of(kept, machine(), "finish_time")


def test_times_of_another_clock_are_left_alone(path: Path, machine: Machine) -> None:
    with Spool(path, machine) as spool:
        spool.add(report_job_finished("a", "web-1", "backup", "failed", send_time=NOON))
        machine.wall += timedelta(days=1)
        (kept,) = spool.waiting()
    assert NOON == time_of(kept, machine(), "send_time")
    assert NOON == time_of(kept, machine(), "finish_time")


def test_a_full_spool_drops_what_was_refused_then_starts_and_ends_last(path: Path) -> None:
    with Spool(path, bounds=SpoolBounds(reports=4)) as spool:
        for report in (end("a"), end("refused"), end("b"), start("c")):
            spool.add(report)
        spool.put_aside(spool.waiting()[1].number, "wrong")
        left = list[list[str]]()
        for report in (end("c"), end("d"), end("e")):
            assert 1 == spool.add(report)
            left.append([str(each.report.job_id) for each in spool.waiting()])
        kinds = {type(each.report).__name__ for each in spool.waiting()}
        counts = spool.counts()
    assert [["a", "b", "c", "c"], ["a", "b", "c", "d"], ["b", "c", "d", "e"]] == left
    assert {"ReportJobFinishedRequest"} == kinds
    assert SpoolCounts(waiting=4, set_aside=0, dropped=3) == counts


def test_a_spool_is_bounded_in_bytes_too(path: Path) -> None:
    with Spool(path, bounds=SpoolBounds(total_bytes=10_000)) as spool:
        dropped = [spool.add(end(str(number), text="x" * 3_000)) for number in range(5)]
        assert ["2", "3", "4"] == jobs(spool)
    assert [0, 0, 0, 1, 1] == dropped


def test_what_is_too_old_is_dropped(path: Path, machine: Machine) -> None:
    with Spool(path, machine, SpoolBounds(age=timedelta(days=30))) as spool:
        spool.add(end("a"))
        machine.passes(timedelta(days=29))
        assert 0 == spool.add(end("b"))
        machine.passes(timedelta(days=2))
        assert 1 == spool.add(end("c"))
        assert ["b", "c"] == jobs(spool)


def test_a_turned_clock_makes_nothing_old(path: Path, machine: Machine) -> None:
    with Spool(path, machine) as spool:
        spool.add(end("a"))
        machine.wall += timedelta(days=400)
        assert 0 == spool.add(end("b"))


def test_what_is_set_aside_is_out_of_the_way_and_can_be_taken_back(path: Path) -> None:
    with Spool(path) as spool:
        spool.add(end("a"))
        spool.add(end("b"))
        spool.put_aside(spool.waiting()[0].number, "no such kind")
        assert ["b"] == jobs(spool)
        assert ["no such kind"] == [each.reason for each in spool.set_aside()]
        assert 1 == spool.take_back()
        assert ["a", "b"] == jobs(spool)


def test_a_report_that_is_damaged_on_the_disk_does_not_block_the_others(path: Path) -> None:
    with Spool(path) as spool:
        spool.add(end("a"))
        spool.add(end("b"))
        assert spool._opened is not None
        spool._opened.execute("UPDATE reports SET report = x'ffff' WHERE job_id = 'a'")
        assert ["a", "b"] == jobs(spool)


def test_several_processes_may_use_a_new_spool_at_once(path: Path) -> None:
    takers = [taking(path, name, 0, 25) for name in "abc"]
    for taker in takers:
        taker.communicate()
    with Spool(path) as spool:
        taken = jobs(spool)
    assert [0, 0, 0] == [taker.returncode for taker in takers]
    for name in "abc":
        own = [each for each in taken if each.startswith(name)]
        assert [job_id(name, number) for number in range(25)] == own


def test_only_one_has_the_right_to_send(path: Path) -> None:
    first, second = Spool(path), Spool(path)
    with first.sending(0) as is_ours, second.sending(0) as is_theirs:
        assert (True, False) == (is_ours, is_theirs)
    with second.sending(0) as is_theirs:
        assert is_theirs


@pytest.mark.parametrize("content", [b"no database at all, but a text" * 40, None])
def test_what_cannot_be_used_is_told_with_its_path(path: Path, content: bytes | None) -> None:
    path.parent.mkdir(parents=True)
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    with pytest.raises(SpoolError, match=str(path)):
        Spool(path).add(end("a"))


def test_the_file_of_a_later_version_is_not_touched(path: Path) -> None:
    with Spool(path) as spool:
        spool.add(end("a"))
    with sqlite3.connect(path) as file:
        file.execute("PRAGMA user_version = 2")
    file.close()
    with pytest.raises(SpoolError, match="later version"):
        Spool(path).counts()


def test_the_place_is_named_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("HOME", "/srv/ann")
    cases = {
        "/srv/ann/.local/state/tocsin/spool.db": {},
        "/srv/state/tocsin/spool.db": {"XDG_STATE_HOME": "/srv/state"},
        "/srv/own.db": {"TOCSIN_SPOOL": "/srv/own.db", "XDG_STATE_HOME": "/srv/state"},
    }
    assert list(cases) == [str(default_path(given)) for given in cases.values()]
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert "/var/lib/tocsin/spool.db" == str(default_path({"XDG_STATE_HOME": "/srv/state"}))
