"""A BackupService that writes down what it is told, for tests of those who report."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import grpc

from tocsin.api.alert.v1 import backup_service_pb2 as pb
from tocsin.api.alert.v1.backup_service_pb2_grpc import (
    BackupServiceServicer,
    add_BackupServiceServicer_to_server,
)
from tocsin.common.rpc.status import status_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from google.protobuf.message import Message

    from tocsin.common.errors import TocsinError

WITHIN_SECONDS = 30


class BackupRecorder(BackupServiceServicer):
    """Answers each report, unless `refuse` gives an error for it.

    From the report on that makes them `hold_after`, none gets an answer until `let_go` is called.
    """

    def __init__(self) -> None:
        self.reports: list[Any] = []
        self.refuse: Callable[[Any], TocsinError | None] = lambda _: None
        self.hold_after: int | None = None
        self._changed = threading.Condition()
        self._held = threading.Event()

    @property
    def job_ids(self) -> list[str]:
        """The jobs of the reports that came, in their order."""
        return [report.job_id for report in self.reports]

    def of(self, kind: type[Message]) -> list[Any]:
        """Return the reports of one sort."""
        return [report for report in self.reports if isinstance(report, kind)]

    @property
    def starts(self) -> list[pb.ReportJobStartedRequest]:
        return self.of(pb.ReportJobStartedRequest)

    @property
    def ends(self) -> list[pb.ReportJobFinishedRequest]:
        return self.of(pb.ReportJobFinishedRequest)

    def wait_for(self, count: int) -> None:
        """Return when so many reports have come."""
        with self._changed:
            came = self._changed.wait_for(lambda: len(self.reports) >= count, WITHIN_SECONDS)
        assert came, f"{len(self.reports)} of {count} reports came"

    def let_go(self) -> None:
        """Answer what is held, and hold no more."""
        self.hold_after = None
        self._held.set()

    def ReportJobStarted(self, request: Any, context: Any) -> Any:  # noqa: N802 - of the contract
        self._take(request, context)
        return pb.ReportJobStartedResponse()

    def ReportJobFinished(self, request: Any, context: Any) -> Any:  # noqa: N802 - of the contract
        self._take(request, context)
        return pb.ReportJobFinishedResponse()

    def ReportHeartbeat(self, request: Any, context: Any) -> Any:  # noqa: N802 - of the contract
        self._take(request, context)
        return pb.ReportHeartbeatResponse()

    def _take(self, report: Any, context: Any) -> None:
        with self._changed:
            self.reports.append(report)
            is_held = self.hold_after is not None and len(self.reports) >= self.hold_after
            self._changed.notify_all()
        if is_held:
            self._held.clear()
            self._held.wait(WITHIN_SECONDS)
        error = self.refuse(report)
        if error is not None:
            wire = status_of(error)
            context.set_trailing_metadata(wire.trailing_metadata)
            context.abort(wire.code, wire.message)


@contextmanager
def recording(
    recorder: BackupRecorder | None = None, port: int = 0
) -> Iterator[tuple[BackupRecorder, str]]:
    """Serve on a loopback port; yields the recorder and the target."""
    recorder = recorder or BackupRecorder()  # type: ignore[abstract]  # other methods are not called
    with ThreadPoolExecutor(8) as threads:
        server = grpc.server(threads, options=[("grpc.so_reuseport", 0)])
        add_BackupServiceServicer_to_server(recorder, server)
        port = server.add_insecure_port(f"127.0.0.1:{port}")
        server.start()
        try:
            yield recorder, f"127.0.0.1:{port}"
        finally:
            recorder.let_go()
            server.stop(None).wait()
