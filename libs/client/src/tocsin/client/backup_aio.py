"""The asyncio client of what is backed up."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeVar

import grpc
import grpc.aio

from tocsin.api.alert.v1.backup_service_pb2_grpc import BackupServiceStub
from tocsin.client import backup_requests as requests
from tocsin.client.calls import AsyncCalls
from tocsin.client.errors import from_rpc_error
from tocsin.client.sending import now_utc, stamp, stamp_beats, to_send

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
    from datetime import datetime
    from typing import Unpack

    from tocsin.api.alert.v1 import backup_service_pb2 as pb
    from tocsin.api.alert.v1.backup_pb2 import Host, Protection, Schedule, SourceGroup
    from tocsin.client.backup_fields import (
        HostFields,
        JobEndFields,
        JobFields,
        ListFields,
        ScheduleFields,
        SourceGroupFields,
        WalkFields,
    )
    from tocsin.client.backup_requests import Report
    from tocsin.client.retry import RetryPolicy
    from tocsin.common.rpc.client_credentials import ClientCredentials

_Report = TypeVar("_Report", bound="Report")
_Answer = TypeVar("_Answer")


class BackupClient(AsyncCalls):
    """Says what is expected of hosts and what became of their jobs, and shows how safe data is.

    It raises as AlertClient does, and every call may be repeated: puts and retirements change
    nothing twice, and a job's reports are known by its job_id. `backup_fields` names the keyword
    arguments.

    `clock` is this machine's: it gives each report its send_time as it is sent, so that the
    server sees how far the clock is off. A report that names a send_time bears times of another
    machine, and is sent as it is.

    Example:
        >>> async with BackupClient("127.0.0.1:7070") as backups:
        ...     job_id = backup_requests.new_job_id()
        ...     await backups.report_job_started(job_id, "web-1", "backup", source_group_id="home")
        ...     await backups.report_job_finished(
        ...         job_id, "web-1", "backup", "failed", source_group_id="home", exit_code=11
        ...     )
    """

    _service = "ALERT"

    def __init__(
        self,
        target: str | grpc.aio.Channel,
        *,
        retry: RetryPolicy | None = None,
        credentials: ClientCredentials | None = None,
        clock: Callable[[], datetime] = now_utc,
    ) -> None:
        super().__init__(target, retry=retry, credentials=credentials)
        self._stub = BackupServiceStub(self.channel)
        self._clock = clock

    async def put_host(self, host_id: str, **fields: Unpack[HostFields]) -> Host:
        """Write a host, whole: what is not given is emptied."""
        request = requests.put_host(host_id, **fields)
        return (await self._call(self._stub.PutHost, request)).host

    async def get_host(self, host_id: str) -> Host:
        """Return one host, also a retired one. Raises NotFoundError."""
        request = requests.get_host(host_id)
        return (await self._call(self._stub.GetHost, request)).host

    async def list_hosts_page(
        self, *, include_retired: bool = False, page_size: int = 0, page_token: str = ""
    ) -> pb.ListHostsResponse:
        """Return one page of hosts, in the order of their ids."""
        request = requests.list_hosts(
            include_retired=include_retired, page_size=page_size, page_token=page_token
        )
        return await self._call(self._stub.ListHosts, request)

    async def list_hosts(
        self, *, include_retired: bool = False, page_size: int = 0
    ) -> AsyncIterator[Host]:
        """Walk over all hosts, in the order of their ids."""
        request = requests.list_hosts(include_retired=include_retired, page_size=page_size)
        async for page in self._pages(self._stub.ListHosts, request):
            for host in page.hosts:
                yield host

    async def retire_host(self, host_id: str) -> pb.RetireHostResponse:
        """Stop watching a host with all it has. Raises NotFoundError."""
        return await self._call(self._stub.RetireHost, requests.retire_host(host_id))

    async def put_source_group(
        self, source_group_id: str, host_id: str, **fields: Unpack[SourceGroupFields]
    ) -> SourceGroup:
        """Write a source group, whole: what is not given is emptied."""
        request = requests.put_source_group(source_group_id, host_id, **fields)
        return (await self._call(self._stub.PutSourceGroup, request)).source_group

    async def get_source_group(self, source_group_id: str) -> SourceGroup:
        """Return one source group, also a retired one. Raises NotFoundError."""
        request = requests.get_source_group(source_group_id)
        return (await self._call(self._stub.GetSourceGroup, request)).source_group

    async def list_source_groups_page(
        self, **fields: Unpack[ListFields]
    ) -> pb.ListSourceGroupsResponse:
        """Return one page of source groups, in the order of their ids."""
        request = requests.list_source_groups(**fields)
        return await self._call(self._stub.ListSourceGroups, request)

    async def list_source_groups(self, **fields: Unpack[WalkFields]) -> AsyncIterator[SourceGroup]:
        """Walk over source groups, page by page, in the order of their ids."""
        request = requests.list_source_groups(**fields)
        async for page in self._pages(self._stub.ListSourceGroups, request):
            for group in page.source_groups:
                yield group

    async def retire_source_group(self, source_group_id: str) -> pb.RetireSourceGroupResponse:
        """Stop watching a source group and its schedules. Raises NotFoundError."""
        request = requests.retire_source_group(source_group_id)
        return await self._call(self._stub.RetireSourceGroup, request)

    async def put_schedule(
        self,
        schedule_id: str,
        host_id: str,
        job_kind: str | int,
        **fields: Unpack[ScheduleFields],
    ) -> Schedule:
        """Write a schedule, whole: what is not given is emptied."""
        request = requests.put_schedule(schedule_id, host_id, job_kind, **fields)
        return (await self._call(self._stub.PutSchedule, request)).schedule

    async def get_schedule(self, schedule_id: str) -> Schedule:
        """Return one schedule, also a retired one. Raises NotFoundError."""
        request = requests.get_schedule(schedule_id)
        return (await self._call(self._stub.GetSchedule, request)).schedule

    async def list_schedules_page(self, **fields: Unpack[ListFields]) -> pb.ListSchedulesResponse:
        """Return one page of schedules, in the order of their ids."""
        request = requests.list_schedules(**fields)
        return await self._call(self._stub.ListSchedules, request)

    async def list_schedules(self, **fields: Unpack[WalkFields]) -> AsyncIterator[Schedule]:
        """Walk over schedules, page by page, in the order of their ids."""
        request = requests.list_schedules(**fields)
        async for page in self._pages(self._stub.ListSchedules, request):
            for schedule in page.schedules:
                yield schedule

    async def retire_schedule(self, schedule_id: str) -> pb.RetireScheduleResponse:
        """Stop expecting the runs of a schedule. Raises NotFoundError."""
        return await self._call(self._stub.RetireSchedule, requests.retire_schedule(schedule_id))

    async def report_job_started(
        self, job_id: str, host_id: str, kind: str | int, **said: Unpack[JobFields]
    ) -> pb.ReportJobStartedResponse:
        """Say that a job has begun: now, unless a `start_time` is given."""
        request = requests.report_job_started(job_id, host_id, kind, **said)
        return await self.send_job_started(request)

    async def report_job_finished(
        self,
        job_id: str,
        host_id: str,
        kind: str | int,
        result: str | int,
        **said: Unpack[JobEndFields],
    ) -> pb.ReportJobFinishedResponse:
        """Say how a job ended: now, unless a `finish_time` is given."""
        request = requests.report_job_finished(job_id, host_id, kind, result, **said)
        return await self.send_job_finished(request)

    async def report_heartbeat(
        self, host_id: str, *, send_time: datetime | None = None
    ) -> pb.ReportHeartbeatResponse:
        """Say that a host lives."""
        request = requests.report_heartbeat(host_id, send_time=send_time)
        return await self._send(self._stub.ReportHeartbeat, request)

    async def heartbeats(
        self, beats: AsyncIterable[Iterable[str | pb.ReportHeartbeatRequest]]
    ) -> pb.HeartbeatsResponse:
        """Say of many hosts that they live, by one stream that is open while `beats` lasts.

        Each entry holds the host_ids that live, or requests of `backup_requests`, and is sent at
        once. It is not repeated when it fails: the next heartbeats make up for it. The answer
        counts what was refused.
        """

        async def messages() -> AsyncIterator[pb.HeartbeatsRequest]:
            async for each in beats:
                for message in requests.heartbeats(each):
                    stamp_beats(self._clock, message)
                    yield message

        try:
            return await self._stub.Heartbeats(messages())
        except grpc.RpcError as error:
            raise from_rpc_error(error) from error

    async def send_job_started(
        self, report: pb.ReportJobStartedRequest
    ) -> pb.ReportJobStartedResponse:
        """Send a report that `backup_requests` made; what it lacks of times is filled in."""
        return await self._send(self._stub.ReportJobStarted, report)

    async def send_job_finished(
        self, report: pb.ReportJobFinishedRequest
    ) -> pb.ReportJobFinishedResponse:
        """Send a report that `backup_requests` made; what it lacks of times is filled in."""
        return await self._send(self._stub.ReportJobFinished, report)

    async def get_protection_page(
        self, *, host_id: str = "", page_size: int = 0, page_token: str = ""
    ) -> pb.GetProtectionResponse:
        """Return how safe data is: one page of source groups, in the order of their ids."""
        request = requests.get_protection(
            host_id=host_id, page_size=page_size, page_token=page_token
        )
        return await self._call(self._stub.GetProtection, request)

    async def get_protection(
        self, *, host_id: str = "", page_size: int = 0
    ) -> AsyncIterator[Protection]:
        """Walk over all source groups of a host, or of all: how safe is each?"""
        request = requests.get_protection(host_id=host_id, page_size=page_size)
        async for page in self._pages(self._stub.GetProtection, request):
            for protection in page.protections:
                yield protection

    async def _send(
        self, method: grpc.aio.UnaryUnaryMultiCallable[_Report, _Answer], report: _Report
    ) -> _Answer:
        sent, unstamped = to_send(report)
        before = partial(stamp, self._clock) if unstamped else None
        return await self._call(method, sent, before=before)
