"""What the sweeps of notify ask of the alert service, answered by a test."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tocsin.client.errors import UnavailableError
from tocsin.notify.sweep.alert_calls import AlertCalls

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from uuid import UUID

    from tocsin.notify.sweep.convert import Protected


@dataclass
class ScriptedCalls(AlertCalls):
    """Notes what is asked. `away`: the service does not answer.

    `meanwhile` is done once, while the service is asked for protections.
    """

    asked: list[str] = field(default_factory=list)
    away: bool = False
    canary: UUID | None = None
    protected: list[Protected] = field(default_factory=list)
    meanwhile: Callable[[], Awaitable[object]] | None = None

    def _ask(self, what: str) -> None:
        if self.away:
            raise UnavailableError("no answer")
        self.asked.append(what)

    async def raise_failing(self, channel_id: UUID, name: str, found: str) -> None:
        self._ask(f"raise {name}: {found}")

    async def resolve_failing(self, channel_id: UUID) -> None:
        self._ask(f"resolve {channel_id}")

    async def raise_canary(self, channel_id: UUID) -> UUID | None:
        self._ask("canary")
        return self.canary

    async def resolve_canary(self) -> None:
        self._ask("resolve canary")

    async def protections(self) -> list[Protected]:
        self._ask("protections")
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            await meanwhile()
        return self.protected


@dataclass
class CountedHeartbeat:
    """Counts the signs of life; `accepted` is what the far side answers."""

    sent: int = 0
    accepted: bool = True

    async def send(self) -> bool:
        self.sent += 1
        return self.accepted
