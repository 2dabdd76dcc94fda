"""Brings the reports of one run to the service beside it, and never in its way."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING

from tocsin.client.backup_sync import SyncBackupClient
from tocsin.client.errors import CallError
from tocsin.client.retry import RetryPolicy, is_worth_repeating
from tocsin.client.spool_file import SpoolError
from tocsin.client.spool_flush import flush, send

if TYPE_CHECKING:
    from collections.abc import Callable

    from tocsin.client.backup_requests import JobReport
    from tocsin.client.spool import Spool

_AGAIN_SECONDS = 30.0
_SOON_SECONDS = 0.2
_LOOK_SECONDS = 0.05
_NO_ANSWER = "the service did not answer in time."


class Courier:
    """Keeps reports in the spool and sends what is there, from a thread of its own.

    `tell` gets a line for each thing that did not work. While the run lasts what is left is tried
    again every 30 s; at its end for at most `seconds`. When the spool cannot be used, the reports
    are sent all the same, as long as this process lives.
    """

    def __init__(
        self,
        spool: Spool,
        target: str,
        seconds: float,
        tell: Callable[[str], None],
    ) -> None:
        self._spool = spool
        self._target = target
        self._seconds = seconds
        self._tell = tell
        self._client: SyncBackupClient | None = None
        self._unspooled: list[JobReport] = []
        self._wake = threading.Event()
        self._is_done = threading.Event()
        self._deadline: float | None = None
        self._is_hurried = False
        self._is_worth_it = True
        self._left = ""
        self._told = set[str]()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def begin(self, report: JobReport) -> None:
        """Keep the first report, and begin to send."""
        self._keep(report)
        self._thread.start()

    def end(self, report: JobReport) -> None:
        """Keep the last report, then wait until all is sent, or the time for it is over."""
        self._keep(report)
        self._deadline = time.monotonic() + self._seconds
        if self._thread.ident is None:  # nothing was begun
            self._thread.start()
        self._wake.set()
        while self._may_go_on() and not self._is_hurried:
            self._is_done.wait(_LOOK_SECONDS)
        self._is_done.set()
        if self._client is not None:
            self._client.close()  # ends a call that still waits
        self._thread.join(1)
        self._tell_what_is_left()

    def hurry(self) -> None:
        """Wait no longer at the end. For handlers of signals: it takes no lock."""
        self._is_hurried = True

    def _run(self) -> None:
        while not self._is_done.is_set():
            is_last = self._deadline is not None
            try:
                self._left = self._deliver()
            except Exception as error:  # noqa: BLE001 - a fault of ours must not reach the run
                if not self._is_done.is_set():
                    self._left = repr(error)
                else:  # the call was ended by us
                    self._left = self._left or _NO_ANSWER
            if not is_last:
                self._wake.wait(_AGAIN_SECONDS)
                continue
            if not self._left or not self._is_worth_it:
                self._is_done.set()
            self._is_done.wait(_SOON_SECONDS)

    def _may_go_on(self) -> bool:
        in_time = self._deadline is None or time.monotonic() < self._deadline
        return in_time and not self._is_done.is_set()

    def _keep(self, report: JobReport) -> None:
        try:
            dropped = self._spool.add(report)
        except SpoolError as error:
            self._tell_once(f"cannot keep reports: {error}")
            self._unspooled.append(report)
        else:
            if dropped:
                self._tell_once(f"the spool {self._spool.path} is full: {dropped} reports dropped")

    def _deliver(self) -> str:
        """Send what there is; return why something is left, '' when nothing is."""
        self._client = self._client or self._connect()
        left = self._deliver_spooled(self._client)
        while self._unspooled and not left:
            try:
                send(self._client, self._unspooled[0])
            except CallError as error:
                return str(error)
            self._unspooled.pop(0)
        return left

    def _connect(self) -> SyncBackupClient:
        limit = timedelta(seconds=self._seconds)
        # A wait between two attempts ends when there is no more time for another.
        retry = RetryPolicy(total=limit, attempt=limit, sleep=self._pause)
        return SyncBackupClient(self._target, retry=retry)

    def _pause(self, seconds: float) -> None:
        self._is_done.wait(seconds)

    def _deliver_spooled(self, client: SyncBackupClient) -> str:
        try:
            done = flush(self._spool, client, keep_on=self._may_go_on, lock_seconds=_SOON_SECONDS)
        except SpoolError as error:
            self._tell_once(f"cannot keep reports: {error}")
            return ""
        for reason in done.refused:
            self._tell_once(f"a report was refused and set aside: {reason}")
        if not done.left:
            return ""
        self._is_worth_it = done.error is None or is_worth_repeating(done.error)
        return str(done.error or "there was no time to send them all.")

    def _tell_what_is_left(self) -> None:
        if self._unspooled:
            self._tell_once(f"{len(self._unspooled)} reports of this run are lost: {self._left}")
        elif self._left:
            where = self._spool.path
            self._tell_once(f"reports wait in {where}, to be sent later: {self._left}")

    def _tell_once(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self._tell(text)
