"""Readiness, as grpc.health.v1 tells it (https://grpc.io/docs/guides/health-checking/)."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tocsin.common.rpc.throttling import address_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

HEALTH_SERVICE: str = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name

MOST_WATCHERS: Final = 5_000
"""So many streams of health are open at most, whoever holds them: some 24 KiB each."""

_NAME_CHARACTERS = 256
_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


class Readiness:
    """Named conditions, and the health of each service made of those that it needs.

    `needs` gives the conditions of each service by its full name; the server as a whole, named
    '', needs all of them. A condition does not hold until it is set. While draining nothing is
    ready.
    """

    def __init__(
        self,
        needs: Mapping[str, Collection[str]],
        *,
        most_watchers: int = MOST_WATCHERS,
        most_watchers_of_one: int = 0,
    ) -> None:
        """Of one address so many streams are told of changes at most; 0 means any number.

        Those of this machine are counted together with all others only.
        """
        self._most_watchers = most_watchers
        self._most_watchers_of_one = most_watchers_of_one
        self._watchers = 0
        self._watchers_at = Counter[str | None]()
        self._needs = {service: frozenset(names) for service, names in needs.items()}
        self._needs[""] = frozenset[str]().union(*self._needs.values())
        self._holds = dict.fromkeys(self._needs[""], False)
        self._draining = False
        self._changed = asyncio.Event()

    def set(self, condition: str, holds: bool) -> None:
        """Say whether a condition holds now. Raises KeyError for one that no service needs."""
        if self._holds[condition] != holds:
            self._holds[condition] = holds
            self._wake_watchers()

    def drain(self) -> None:
        """Be ready no more, for good."""
        self._draining = True
        self._wake_watchers()

    def ready(self, service: str = "") -> bool:
        """Whether every condition of a service holds."""
        return not self._draining and all(self._holds[name] for name in self._needs[service])

    def missing(self) -> list[str]:
        """Name the conditions that do not hold."""
        return sorted(name for name, holds in self._holds.items() if not holds)

    def conditions(self) -> dict[str, bool]:
        """Return every condition and whether it holds."""
        return dict(self._holds)

    def add_to(self, server: grpc.aio.Server) -> None:
        """Serve grpc.health.v1.Health."""
        health_pb2_grpc.add_HealthServicer_to_server(self, server)

    async def Check(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        """Tell the health of one service. Fails with NOT_FOUND for an unknown name."""
        await _refuse_long_name(request, context)
        if request.service not in self._needs:
            await context.abort(
                grpc.StatusCode.NOT_FOUND, "This server has no service of that name."
            )
        return health_pb2.HealthCheckResponse(status=self._status(request.service))

    async def List(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802 - gRPC's names
        """Tell the health of every service."""
        return health_pb2.HealthListResponse(
            statuses={
                name: health_pb2.HealthCheckResponse(status=self._status(name))
                for name in self._needs
            }
        )

    async def Watch(self, request: Any, context: Any) -> None:  # noqa: N802 - gRPC's name
        """Tell the health of one service now and at each change.

        Fails with RESOURCE_EXHAUSTED when there are too many who are told, here or at one address.
        """
        await _refuse_long_name(request, context)
        address = address_of(context.peer())
        await self._refuse_one_too_many(address, context)
        self._watchers += 1
        self._watchers_at[address] += 1
        try:
            await self._tell_changes(request, context)
        finally:
            self._watchers -= 1
            self._watchers_at[address] -= 1
            if not self._watchers_at[address]:
                del self._watchers_at[address]

    async def _refuse_one_too_many(self, address: str | None, context: Any) -> None:
        of_one = self._watchers_at[address]
        if self._watchers >= self._most_watchers:
            said = f"{self._watchers:,} streams of health are open"
        elif address is not None and 0 < self._most_watchers_of_one <= of_one:
            said = f"Your address holds {of_one:,} streams of health"
        else:
            return
        await context.abort(
            grpc.StatusCode.RESOURCE_EXHAUSTED, f"{said}, and no more may be. Call Check."
        )

    async def _tell_changes(self, request: Any, context: Any) -> None:
        told = None
        while True:
            changed = self._changed
            status = self._status(request.service)
            if status != told:
                told = status
                await context.write(health_pb2.HealthCheckResponse(status=status))
            await changed.wait()

    def _status(self, service: str) -> int:
        if service not in self._needs:
            return int(_UNKNOWN)
        return int(_SERVING if self.ready(service) else _NOT_SERVING)

    def _wake_watchers(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


async def _refuse_long_name(request: Any, context: Any) -> None:
    """End a call with a name that would be held as long as the call: anybody may make it."""
    if len(request.service) > _NAME_CHARACTERS:
        await context.abort(
            grpc.StatusCode.INVALID_ARGUMENT,
            f"service: has {len(request.service):,} characters; write the full name of a service, "
            "or nothing for the server as a whole",
        )
