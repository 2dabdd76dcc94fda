"""A channel with a rate limit, that is claimed for and settled by hand."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from support.notify_ground import LEASE, OK
from tocsin.notify.delivery.queue import DeliveryQueue
from tocsin.notify.delivery.retry import DEFAULT_SCHEDULE
from tocsin.notify.domain.channel import ChannelType, RateLimit
from tocsin.notify.domain.channel_type import ChannelSpec
from tocsin.notify.domain.notice import Digest

if TYPE_CHECKING:
    from uuid import UUID

    from support.clock import ManualClock
    from support.notify_ground import Ground
    from tocsin.notify.delivery.queue import Claim
    from tocsin.notify.domain.delivery import Receipt
    from tocsin.notify.domain.notice import Message

RATE = RateLimit(10, timedelta(seconds=30))


def spec(rate: RateLimit | None = RATE, *, carries_digests: bool = True) -> ChannelSpec:
    """Return what consoles take."""
    return ChannelSpec(
        type=ChannelType.CONSOLE,
        display_name="Console",
        description="",
        fields=(),
        carries_digests=carries_digests,
        tracks_state=False,
        deduplicates=False,
        default_rate_limit=rate,
    )


def limited_queue(ground: Ground, of: ChannelSpec | None = None) -> DeliveryQueue:
    """Return a queue without jitter, for consoles that have a limit."""
    return DeliveryQueue(
        ground.database,
        clock=ground.clock,
        lease=LEASE,
        schedule=DEFAULT_SCHEDULE,
        roll=lambda: 0.5,
        specs={ChannelType.CONSOLE: of or spec()},
    )


@dataclass
class FarSide:
    """Claims what is due and answers it. `heard` has what was sent, in order."""

    queue: DeliveryQueue
    channel_id: UUID
    clock: ManualClock
    heard: list[Message] = field(default_factory=list)

    async def take(self, limit: int = 8) -> list[Claim]:
        claims = await self.queue.claim(self.channel_id, limit)
        self.heard += [claim.message for claim in claims if claim.message is not None]
        return claims

    async def answer(self, receipt: Receipt = OK, limit: int = 8) -> int:
        """Take what is due, until there is none, and answer it; return how many messages."""
        count = 0
        while claims := await self.take(limit):
            count += len(claims)
            for claim in claims:
                assert await self.queue.settle(claim, receipt)
        return count

    async def answer_for(self, duration: timedelta, every: timedelta) -> None:
        """Answer what falls due in that time, looking again and again."""
        end = self.clock.now() + duration
        while self.clock.now() < end:
            self.clock.advance(every)
            await self.answer()

    @property
    def digests(self) -> list[Digest]:
        return [each for each in self.heard if isinstance(each, Digest)]
