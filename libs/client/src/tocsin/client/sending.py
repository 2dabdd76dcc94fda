"""The sender's clock in reports, as of the moment of each attempt to send."""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from tocsin.api.alert.v1.backup_service_pb2 import (
    ReportJobFinishedRequest,
    ReportJobStartedRequest,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tocsin.api.alert.v1.backup_service_pb2 import HeartbeatsRequest
    from tocsin.client.backup_requests import Report

_Report = TypeVar("_Report", bound="Report")


def now_utc() -> datetime:
    """Return the time of this machine's clock."""
    return datetime.now(UTC)


def to_send(report: _Report) -> tuple[_Report, bool]:
    """Return a copy of a report to send, and whether `stamp` is to give it the times it lacks.

    Not one that bears a send_time: another clock made it.
    """
    return deepcopy(report), not report.HasField("send_time")


def stamp(clock: Callable[[], datetime], sent: Report) -> None:
    """Give a report the send_time of now, before each attempt to send it.

    When a job began or ended is, if it is not said, the time of the first attempt.
    """
    now = clock()
    if isinstance(sent, ReportJobStartedRequest) and not sent.HasField("start_time"):
        sent.start_time.FromDatetime(now)
    if isinstance(sent, ReportJobFinishedRequest) and not sent.HasField("finish_time"):
        sent.finish_time.FromDatetime(now)
    sent.send_time.FromDatetime(now)


def stamp_beats(clock: Callable[[], datetime], message: HeartbeatsRequest) -> None:
    """Give those heartbeats of a message that bear no send_time that of now."""
    now = clock()
    for beat in message.heartbeats:
        if not beat.HasField("send_time"):
            beat.send_time.FromDatetime(now)
