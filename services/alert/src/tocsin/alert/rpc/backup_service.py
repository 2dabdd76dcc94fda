"""BackupService: the registry of hosts."""

# gRPC names the methods, and gives each a context.
# ruff: noqa: ARG002, N802

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tocsin.alert.rpc.convert import host_to_stub
from tocsin.alert.rpc.fitting import fitting
from tocsin.alert.rpc.lists import read_hosts_query
from tocsin.api.alert.v1 import backup_service_pb2 as pb
from tocsin.api.alert.v1.backup_service_pb2_grpc import BackupServiceServicer
from tocsin.common.errors import Violations
from tocsin.common.rpc.validate import ID_CHARACTERS, check_labels, check_text

if TYPE_CHECKING:
    import grpc

    from tocsin.alert.rpc.registry import Registry

    Context = grpc.aio.ServicerContext[Any, Any]

BACKUP_SERVICE: str = pb.DESCRIPTOR.services_by_name["BackupService"].full_name


class BackupService(BackupServiceServicer):
    """The RPCs on what is backed up; `backup_service.proto` says what each does."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def PutHost(self, request: pb.PutHostRequest, context: Context) -> pb.PutHostResponse:
        check_put_host(request)
        host = await self._registry.put(request.host_id, request.name, dict(request.labels))
        return pb.PutHostResponse(host=host_to_stub(host))

    async def GetHost(self, request: pb.GetHostRequest, context: Context) -> pb.GetHostResponse:
        found = Violations()
        check_text(found, "host_id", request.host_id, least=1, most=ID_CHARACTERS)
        found.raise_if_any()
        return pb.GetHostResponse(host=host_to_stub(await self._registry.get(request.host_id)))

    async def ListHosts(
        self, request: pb.ListHostsRequest, context: Context
    ) -> pb.ListHostsResponse:
        query = read_hosts_query(request)
        found, more = await self._registry.page(query.after, query.size)
        hosts, fitted = fitting(host_to_stub(host) for host in found)
        response = pb.ListHostsResponse(hosts=hosts)
        if more or not fitted:
            response.next_page_token = query.token_after(hosts[-1].host_id)
        return response


def check_put_host(request: pb.PutHostRequest) -> None:
    """Raise InvalidArgumentError with all that is wrong with a host to write."""
    found = Violations()
    check_text(found, "host_id", request.host_id, least=1, most=ID_CHARACTERS)
    check_text(found, "name", request.name, most=ID_CHARACTERS)
    check_labels(found, "labels", request.labels)
    found.raise_if_any()
