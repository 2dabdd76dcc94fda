"""What notify asks of the alert service, as any client does."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID

from tocsin.client.aio import AlertClient
from tocsin.client.retry import RetryPolicy
from tocsin.notify.domain.own import (
    KIND_CANARY,
    KIND_CHANNEL_FAILING,
    LABEL_CHANNEL_ID,
    OWN_HOST,
)
from tocsin.notify.sweep.convert import Protected, protected_of

if TYPE_CHECKING:
    import grpc.aio

# A sweep comes again by itself: it need not wait long for an answer.
_PATIENCE: Final = RetryPolicy(total=timedelta(seconds=8), attempt=timedelta(seconds=4))
_PAGE: Final = 1_000


class AlertCalls:
    """Raises and resolves notify's own alerts, and asks how backups stand.

    Every method raises CallError.
    """

    def __init__(self, channel: grpc.aio.Channel) -> None:
        """`channel` is one to the alert service; it stays the caller's to close."""
        self._alerts = AlertClient(channel, retry=_PATIENCE)
        self._channel = channel

    async def raise_failing(self, channel_id: UUID, name: str, found: str) -> None:
        """Raise, or touch, that a channel fails."""
        await self._alerts.raise_or_touch(
            OWN_HOST,
            KIND_CHANNEL_FAILING,
            str(channel_id),
            severity="critical",
            message=f"Messages do not arrive through {name}. {found}",
            labels={LABEL_CHANNEL_ID: str(channel_id), "channel": name},
        )

    async def resolve_failing(self, channel_id: UUID) -> None:
        """Say that a channel works again, or is gone."""
        await self._alerts.auto_resolve(OWN_HOST, KIND_CHANNEL_FAILING, str(channel_id))

    async def raise_canary(self, channel_id: UUID) -> UUID | None:
        """Raise the canary for one channel; return its alert_id, None when it was not raised."""
        answer = await self._alerts.raise_or_touch(
            OWN_HOST,
            KIND_CANARY,
            severity="info",
            message="This proves that alerts arrive. Nothing is wrong.",
            labels={LABEL_CHANNEL_ID: str(channel_id)},
        )
        return UUID(answer.alert.alert_id) if answer.alert.alert_id else None

    async def resolve_canary(self) -> None:
        """Resolve the canary that is open, if one is."""
        await self._alerts.auto_resolve(OWN_HOST, KIND_CANARY)

    async def protections(self) -> list[Protected]:
        """Return how every source group stands."""
        # Loaded with the first morning proof: most installations have none, and it costs 1 MiB.
        from tocsin.client.backup_aio import BackupClient

        found = BackupClient(self._channel, retry=_PATIENCE).get_protection(page_size=_PAGE)
        return [protected_of(each) async for each in found]
