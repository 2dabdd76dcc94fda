"""BackupService: each handler reads its request, has it done elsewhere, and answers."""

# gRPC names the methods, and gives each a context.
# ruff: noqa: ARG002, N802

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tocsin.alert.ledger.backup_commands import RetireHost, RetireSchedule, RetireSourceGroup
from tocsin.alert.rpc.convert_backup import (
    finish_answer_to_stub,
    heard_answer_to_stub,
    host_to_stub,
    protection_to_stub,
    schedule_to_stub,
    source_group_to_stub,
)
from tocsin.alert.rpc.fitting import fitting
from tocsin.alert.rpc.heartbeats import take_heartbeats
from tocsin.alert.rpc.job_reports import read_finished, read_heartbeat, read_started
from tocsin.alert.rpc.observations import caller_of
from tocsin.alert.rpc.puts import (
    read_id,
    read_put_host,
    read_put_schedule,
    read_put_source_group,
)
from tocsin.alert.rpc.registry_lists import read_registry_query
from tocsin.api.alert.v1 import backup_service_pb2 as pb
from tocsin.api.alert.v1.backup_service_pb2_grpc import BackupServiceServicer
from tocsin.common.identity.roles import require_host
from tocsin.common.rpc.caller import peer_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import grpc

    from tocsin.alert.domain.observation import Caller
    from tocsin.alert.ledger.ledger import Ledger
    from tocsin.alert.rpc.registry import Registry
    from tocsin.common.clock import Clock

    Context = grpc.aio.ServicerContext[Any, Any]

BACKUP_SERVICE: str = pb.DESCRIPTOR.services_by_name["BackupService"].full_name


class BackupService(BackupServiceServicer):
    """The RPCs on what is backed up; `backup_service.proto` says what each does.

    Whatever can change an alert goes through the ledger, reads have a path of their own.
    """

    def __init__(self, ledger: Ledger, registry: Registry, clock: Clock) -> None:
        self._ledger = ledger
        self._registry = registry
        self._clock = clock

    async def PutHost(self, request: pb.PutHostRequest, context: Context) -> pb.PutHostResponse:
        answer = await self._ledger.submit(read_put_host(request, peer_of(context)))
        return pb.PutHostResponse(host=host_to_stub(answer.thing))

    async def GetHost(self, request: pb.GetHostRequest, context: Context) -> pb.GetHostResponse:
        require_host(peer_of(context), request.host_id)
        host = await self._registry.host(read_id("host_id", request.host_id))
        return pb.GetHostResponse(host=host_to_stub(host))

    async def ListHosts(
        self, request: pb.ListHostsRequest, context: Context
    ) -> pb.ListHostsResponse:
        query = read_registry_query(request, peer_of(context))
        found, more = await self._registry.hosts(query)
        hosts, fitted = fitting(host_to_stub(host) for host in found)
        response = pb.ListHostsResponse(hosts=hosts)
        if more or not fitted:
            response.next_page_token = query.token_after(hosts[-1].host_id)
        return response

    async def RetireHost(
        self, request: pb.RetireHostRequest, context: Context
    ) -> pb.RetireHostResponse:
        require_host(peer_of(context), request.host_id)
        command = RetireHost(read_id("host_id", request.host_id), _caller(context))
        answer = await self._ledger.submit(command)
        return pb.RetireHostResponse(
            host=host_to_stub(answer.thing), resolved_count=answer.resolved_count
        )

    async def PutSourceGroup(
        self, request: pb.PutSourceGroupRequest, context: Context
    ) -> pb.PutSourceGroupResponse:
        answer = await self._ledger.submit(read_put_source_group(request, peer_of(context)))
        return pb.PutSourceGroupResponse(source_group=source_group_to_stub(answer.thing))

    async def GetSourceGroup(
        self, request: pb.GetSourceGroupRequest, context: Context
    ) -> pb.GetSourceGroupResponse:
        group_id = read_id("source_group_id", request.source_group_id)
        group = await self._registry.source_group(group_id)
        return pb.GetSourceGroupResponse(source_group=source_group_to_stub(group))

    async def ListSourceGroups(
        self, request: pb.ListSourceGroupsRequest, context: Context
    ) -> pb.ListSourceGroupsResponse:
        query = read_registry_query(request, peer_of(context))
        found, more = await self._registry.source_groups(query)
        groups, fitted = fitting(source_group_to_stub(group) for group in found)
        response = pb.ListSourceGroupsResponse(source_groups=groups)
        if more or not fitted:
            response.next_page_token = query.token_after(groups[-1].source_group_id)
        return response

    async def RetireSourceGroup(
        self, request: pb.RetireSourceGroupRequest, context: Context
    ) -> pb.RetireSourceGroupResponse:
        group_id = read_id("source_group_id", request.source_group_id)
        answer = await self._ledger.submit(RetireSourceGroup(group_id, _caller(context)))
        return pb.RetireSourceGroupResponse(
            source_group=source_group_to_stub(answer.thing), resolved_count=answer.resolved_count
        )

    async def PutSchedule(
        self, request: pb.PutScheduleRequest, context: Context
    ) -> pb.PutScheduleResponse:
        command = read_put_schedule(request, peer_of(context), self._clock.now())
        answer = await self._ledger.submit(command)
        return pb.PutScheduleResponse(schedule=schedule_to_stub(answer.thing))

    async def GetSchedule(
        self, request: pb.GetScheduleRequest, context: Context
    ) -> pb.GetScheduleResponse:
        schedule = await self._registry.schedule(read_id("schedule_id", request.schedule_id))
        return pb.GetScheduleResponse(schedule=schedule_to_stub(schedule))

    async def ListSchedules(
        self, request: pb.ListSchedulesRequest, context: Context
    ) -> pb.ListSchedulesResponse:
        query = read_registry_query(request, peer_of(context))
        found, more = await self._registry.schedules(query)
        schedules, fitted = fitting(schedule_to_stub(schedule) for schedule in found)
        response = pb.ListSchedulesResponse(schedules=schedules)
        if more or not fitted:
            response.next_page_token = query.token_after(schedules[-1].schedule_id)
        return response

    async def RetireSchedule(
        self, request: pb.RetireScheduleRequest, context: Context
    ) -> pb.RetireScheduleResponse:
        schedule_id = read_id("schedule_id", request.schedule_id)
        answer = await self._ledger.submit(RetireSchedule(schedule_id, _caller(context)))
        return pb.RetireScheduleResponse(
            schedule=schedule_to_stub(answer.thing), resolved_count=answer.resolved_count
        )

    async def ReportJobStarted(
        self, request: pb.ReportJobStartedRequest, context: Context
    ) -> pb.ReportJobStartedResponse:
        command = read_started(request, peer_of(context), self._clock.now())
        answer = await self._ledger.submit(command)
        return pb.ReportJobStartedResponse(replayed=answer.replayed)

    async def ReportJobFinished(
        self, request: pb.ReportJobFinishedRequest, context: Context
    ) -> pb.ReportJobFinishedResponse:
        command = read_finished(request, peer_of(context), self._clock.now())
        return finish_answer_to_stub(await self._ledger.submit(command))

    async def ReportHeartbeat(
        self, request: pb.ReportHeartbeatRequest, context: Context
    ) -> pb.ReportHeartbeatResponse:
        command = read_heartbeat(request, peer_of(context), self._clock.now())
        return heard_answer_to_stub(await self._ledger.submit(command))

    async def Heartbeats(
        self, request_iterator: AsyncIterator[pb.HeartbeatsRequest], context: Context
    ) -> pb.HeartbeatsResponse:
        peer = peer_of(context)
        count = await take_heartbeats(self._ledger, self._clock, request_iterator, peer)
        return count.to_stub()

    async def GetProtection(
        self, request: pb.GetProtectionRequest, context: Context
    ) -> pb.GetProtectionResponse:
        query = read_registry_query(request, peer_of(context))
        found, more = await self._registry.protections(query)
        protections, fitted = fitting(protection_to_stub(each) for each in found)
        response = pb.GetProtectionResponse(protections=protections)
        if more or not fitted:
            last = protections[-1].source_group.source_group_id
            response.next_page_token = query.token_after(last)
        return response


def _caller(context: Context) -> Caller:
    return caller_of(peer_of(context))
