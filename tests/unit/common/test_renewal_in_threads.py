"""Threads that share a channel, and call while its certificates change."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event, local
from typing import Any

from support.waiting import WITHIN_SECONDS
from tocsin.common.rpc.renewing import RenewingChannel


class Opened:
    """A channel whose methods are made when `may_make` is set, and tell its number."""

    def __init__(self, number: int, may_make: Event) -> None:
        self.number = number
        self.closed = False
        self.making = Event()
        self._may_make = may_make

    def unary_unary(self, *method: Any, **options: Any) -> Any:
        self.making.set()
        assert self._may_make.wait(WITHIN_SECONDS)
        return lambda *request, **given: self.number

    def close(self) -> None:
        self.closed = True


class Files:
    """What a channel is opened from: a stamp, and every channel that was opened."""

    def __init__(self) -> None:
        self.stamp = 0
        self.may_make = Event()
        self.opened: list[Opened] = []

    def open(self) -> Any:
        self.opened.append(Opened(len(self.opened), self.may_make))
        return self.opened[-1]


def test_a_method_that_another_thread_is_making_is_not_called_before_it_is_there() -> None:
    files = Files()
    method = RenewingChannel(files.open, lambda: files.stamp).unary_unary("/A/B")
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(method, b"")
        assert files.opened[0].making.wait(WITHIN_SECONDS)
        second = threads.submit(method, b"")
        files.may_make.set()

        assert [0, 0] == [first.result(WITHIN_SECONDS), second.result(WITHIN_SECONDS)]


def test_a_thread_that_saw_an_older_change_does_not_renew_once_more() -> None:
    files, looked, go_on = Files(), Event(), Event()
    files.may_make.set()
    late = local()

    def stamp() -> int:
        seen = files.stamp
        if getattr(late, "waits", False):
            late.waits = False
            looked.set()
            assert go_on.wait(WITHIN_SECONDS)
        return seen

    method = RenewingChannel(files.open, stamp).unary_unary("/A/B")

    def call_late() -> int:
        late.waits = True
        return int(method(b""))

    with ThreadPoolExecutor(1) as threads:
        files.stamp = 1
        slow = threads.submit(call_late)
        assert looked.wait(WITHIN_SECONDS)
        files.stamp = 2
        assert 1 == method(b"")
        go_on.set()

        assert 1 == slow.result(WITHIN_SECONDS)
    assert [False, False] == [each.closed for each in files.opened]
