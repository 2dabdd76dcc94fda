"""A sender that records what it is given and answers as a test wants."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from support.notify_ground import OK
from tocsin.notify.domain.delivery import Receipt

if TYPE_CHECKING:
    from uuid import UUID

    from tocsin.notify.domain.channel import Channel, ChannelType, Secrets
    from tocsin.notify.domain.notification import Notification

Answer = Callable[["Sent"], Awaitable[Receipt]]


@dataclass(frozen=True, slots=True)
class Sent:
    """One attempt that reached the sender."""

    channel_id: UUID
    notification: Notification

    @property
    def key(self) -> tuple[UUID, UUID]:
        return self.channel_id, self.notification.alert.alert_id


async def ok(sent: Sent) -> Receipt:
    return OK


class RecordingSender:
    """Stands in for all senders of a service; two services may share one.

    `overlaps` has what was begun while another attempt for the same channel and alert was
    under way.
    """

    def __init__(self, answer: Answer = ok) -> None:
        self.answer = answer
        self.begun: list[Sent] = []
        self.ended: list[tuple[Sent, Receipt]] = []
        self.overlaps: list[Sent] = []
        self._under_way: set[tuple[UUID, UUID]] = set()
        self._changed = asyncio.Condition()

    def of(self, channel_type: ChannelType) -> RecordingSender:
        return self

    async def send(self, notification: Notification, channel: Channel, secrets: Secrets) -> Receipt:
        sent = Sent(channel.channel_id, notification)
        if sent.key in self._under_way:
            self.overlaps.append(sent)
        self._under_way.add(sent.key)
        async with self._changed:
            self.begun.append(sent)
            self._changed.notify_all()
        try:
            receipt = await self.answer(sent)
        finally:
            self._under_way.discard(sent.key)
        async with self._changed:
            self.ended.append((sent, receipt))
            self._changed.notify_all()
        return receipt

    async def close(self) -> None:
        pass

    async def until(self, holds: Callable[[], bool], *, within: float = 20) -> None:
        """Wait until it holds, asked after each attempt's begin and end."""
        async with asyncio.timeout(within), self._changed:
            await self._changed.wait_for(holds)

    def told(self, channel_id: UUID) -> list[int]:
        """Return the revisions that were begun for a channel, in order."""
        return [each.notification.revision for each in self.begun if each.channel_id == channel_id]
