"""Sends what a spool keeps, in order, each report until it has arrived or is refused for good."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from tocsin.api.alert.v1.backup_service_pb2 import ReportJobFinishedRequest
from tocsin.client import errors

if TYPE_CHECKING:
    from collections.abc import Callable

    from tocsin.api.alert.v1.backup_service_pb2 import (
        ReportJobFinishedResponse,
        ReportJobStartedRequest,
        ReportJobStartedResponse,
    )
    from tocsin.client.backup_requests import JobReport
    from tocsin.client.spool import Spool, Spooled

MAX_ATTEMPTS = 10
# The report itself is wrong: it will be refused for ever.
_FOR_GOOD = (
    errors.InvalidArgumentError,
    errors.FailedPreconditionError,
    errors.NotFoundError,
    errors.AlreadyExistsError,
    errors.OutOfRangeError,
)
# A fault on the far side, which may be of this report only.
_PERHAPS = (errors.InternalError, errors.UnknownError, errors.DataLossError)


class ReportSender(Protocol):
    """What sends a report: a SyncBackupClient."""

    def send_job_started(self, report: ReportJobStartedRequest) -> ReportJobStartedResponse:
        """Send the report of a start. Raises CallError."""
        ...

    def send_job_finished(self, report: ReportJobFinishedRequest) -> ReportJobFinishedResponse:
        """Send the report of an end. Raises CallError."""
        ...


@dataclass(frozen=True, slots=True)
class Flushed:
    """What a flush did: how many reports arrived, how many still wait, what was refused, and why.

    `error` is what ended it early; None when it came to an end, was told to stop, or did not begin
    as another process was sending.
    """

    sent: int
    left: int
    refused: tuple[str, ...] = ()
    error: errors.CallError | None = None


def flush(
    spool: Spool,
    client: ReportSender,
    *,
    keep_on: Callable[[], bool] = lambda: True,
    lock_seconds: float = 0.0,
) -> Flushed:
    """Send the reports of a spool, the first taken first.

    A report that the service refuses is set aside with the reason, and so is one that met a fault
    of the service in ten flushes. Anything else ends the flush: what is left goes later, in the
    same order. A report that was sent but not yet removed, when its process was killed, goes
    again: the service knows it by its job_id. `keep_on` is asked before each report. Raises
    SpoolError.
    """
    sent, refused, error = 0, list[str](), None
    with spool.sending(lock_seconds) as is_ours:
        while is_ours and error is None and keep_on() and (batch := spool.waiting()):
            for each in batch:
                if not keep_on():
                    break
                error = _attempt(spool, client, each)
                if error is None:
                    sent += 1
                elif _is_set_aside(spool, each, error):
                    refused.append(f"{each.report.job_id} of {each.report.host_id}: {error}")
                    error = None
                else:
                    break
    return Flushed(sent, spool.counts().waiting, tuple(refused), error)


def _attempt(spool: Spool, client: ReportSender, spooled: Spooled) -> errors.CallError | None:
    try:
        send(client, spooled.as_of(spool.clock()))
    except errors.CallError as error:
        return error
    spool.remove(spooled.number)
    return None


def send(client: ReportSender, report: JobReport) -> None:
    """Send one report of a job. Raises CallError."""
    if isinstance(report, ReportJobFinishedRequest):
        client.send_job_finished(report)
    else:
        client.send_job_started(report)


def _is_set_aside(spool: Spool, spooled: Spooled, error: errors.CallError) -> bool:
    if isinstance(error, _PERHAPS):
        spool.count_attempt(spooled.number)
        if spooled.attempts + 1 < MAX_ATTEMPTS:
            return False
    elif not isinstance(error, _FOR_GOOD):
        return False
    spool.put_aside(spooled.number, str(error))
    return True
