"""A database of tocsin-notify with channels and events put in by hand."""

from __future__ import annotations

from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING
from uuid import UUID

from support.alert_stubs import EPOCH, an_alert, an_event, resolved
from tocsin.api.alert.v1.event_pb2 import ALERT_EVENT_TYPE_RESOLVED, Position
from tocsin.client.batch import StreamBatch, StreamEvent
from tocsin.notify.delivery.queue import DeliveryQueue
from tocsin.notify.delivery.retry import DEFAULT_SCHEDULE, RetrySchedule
from tocsin.notify.domain.channel import ChannelConfig, ConsoleConfig, Secrets, WebhookConfig
from tocsin.notify.domain.delivery import AttemptOutcome, DeliveryState, Receipt
from tocsin.notify.domain.flap import NEVER_FLAPPING
from tocsin.notify.follower.intake import Intake
from tocsin.notify.store.channels import ChannelStore
from tocsin.notify.store.deliveries import DeliveryFilter, DeliveryStore
from tocsin.notify.store.inbox import read_cursor
from tocsin.notify.store.sealing import Sealing

if TYPE_CHECKING:
    from support.clock import ManualClock
    from tocsin.api.alert.v1.event_pb2 import AlertEvent
    from tocsin.common.clock import Clock
    from tocsin.common.postgres.engine import Database
    from tocsin.notify.domain.delivery import Delivery
    from tocsin.notify.domain.flap import FlapRule
    from tocsin.notify.store.inbox import Cursor

OK = Receipt(AttemptOutcome.DELIVERED, 204, "204 No Content")
AGAIN = Receipt(AttemptOutcome.RETRY, 503, "503 Service Unavailable")
LEASE = timedelta(seconds=30)


def a_batch(*events: AlertEvent, epoch: str = EPOCH, revision: int | None = None) -> StreamBatch:
    """Return a batch of the stream that ends with the last event, or at `revision`."""
    last = events[-1].position.revision if revision is None else revision
    return StreamBatch(
        tuple(StreamEvent(event) for event in events),
        Position(epoch=epoch, revision=last),
        caught_up=True,
    )


class Ground:
    """Puts events in by the follower's own intake, and looks at what becomes of them."""

    def __init__(
        self,
        database: Database,
        clock: ManualClock | Clock,
        flap_rule: FlapRule = NEVER_FLAPPING,
    ) -> None:
        self.database = database
        self.clock = clock
        self.channels = ChannelStore(database, Sealing(b"k" * 32), clock)
        self.deliveries = DeliveryStore(database, clock=clock)
        self._intake = Intake(clock, flap_rule=flap_rule)
        self._names = count(1)
        self.revision = 0

    def queue(self, schedule: RetrySchedule = DEFAULT_SCHEDULE) -> DeliveryQueue:
        """Return a queue without jitter."""
        return DeliveryQueue(
            self.database, clock=self.clock, lease=LEASE, schedule=schedule, roll=lambda: 0.5
        )

    async def channel(self, config: ChannelConfig | None = None, *, secret: str = "") -> UUID:
        """Add an enabled channel."""
        name = f"channel {next(self._names)}"
        return await self.channel_named(name, config, secret=secret)

    async def channel_named(
        self, name: str, config: ChannelConfig | None = None, *, secret: str = ""
    ) -> UUID:
        secrets = Secrets(signing_secret=secret)
        channel = await self.channels.create(name, config or ConsoleConfig(), secrets)
        return channel.channel_id

    async def webhook(self, url: str, secret: str) -> UUID:
        return await self.channel(WebhookConfig(url), secret=secret)

    async def raised(self, *numbers: int) -> list[UUID]:
        """Take in a RAISED event for each alert of these numbers; return the event ids."""
        return await self.take_in(*[an_event(self.next(), an_alert(number)) for number in numbers])

    async def resolved(self, number: int) -> UUID:
        event = an_event(self.next(), resolved(number), ALERT_EVENT_TYPE_RESOLVED)
        return (await self.take_in(event))[0]

    async def changed(self, number: int, type: int) -> UUID:  # noqa: A002 - the contract's name
        return (await self.take_in(an_event(self.next(), an_alert(number), type)))[0]

    async def take_in(self, *events: AlertEvent) -> list[UUID]:
        await self.keep(a_batch(*events))
        return [UUID(event.event_id) for event in events]

    async def keep(self, batch: StreamBatch) -> Cursor:
        """Keep a batch after whatever was kept before."""
        async with self.database.connection() as connection:
            before = await read_cursor(connection)
            return await self._intake.keep(connection, before, batch)

    async def of(self, channel_id: UUID) -> list[Delivery]:
        """Return a channel's deliveries in the order in which their events were taken in."""
        wanted = DeliveryFilter(channel_id=channel_id)
        return (await self.deliveries.list_page(wanted, limit=1_000_000))[::-1]

    async def states(self, channel_id: UUID) -> list[DeliveryState]:
        return [delivery.state for delivery in await self.of(channel_id)]

    async def unfinished(self) -> int:
        states = (DeliveryState.PENDING, DeliveryState.SENDING, DeliveryState.HELD)
        return len(await self.deliveries.list_page(DeliveryFilter(states=states), limit=1_000_000))

    async def rows(self, query: str, *arguments: object) -> list[tuple[object, ...]]:
        """Return what a query finds."""
        async with self.database.connection() as connection:
            return [tuple(row) for row in await connection.fetch(query, *arguments)]

    def next(self) -> int:
        """Return the revision of the next event."""
        self.revision += 1
        return self.revision
