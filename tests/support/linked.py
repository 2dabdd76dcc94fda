"""Both services and a receiver, with a link that can be harmed on each way between them."""

from __future__ import annotations

from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

from sqlalchemy.engine import make_url

from support.alert import running_alert
from support.links import linked_to
from support.notify import running_notify
from support.receiver import running_receiver
from tocsin.api.notify.v1.channel_pb2 import Channel, WebhookConfig
from tocsin.client import AlertClient, EventSubscription, NotifyClient, RetryPolicy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from support.links import Link
    from support.receiver import Receiver

LINKS = ("client-alert", "alert-notify", "alert-postgresql", "notify-postgresql", "notify-channel")
PATIENT = RetryPolicy(total=timedelta(minutes=3), longest_wait=timedelta(seconds=1))
SYSTEMS_ASK_FOR = 25.0
"""What both ends of a connection to PostgreSQL ask of their systems; see test_silent_network."""
# A retry of a channel comes when its schedule says so, however well the link is again.
_RETRIES = (0, *[0.5] * 90)


@dataclass
class Linked:
    """Raises through one end, and sees what comes out at the others."""

    links: Mapping[str, Link]
    alerts: AlertClient
    receiver: Receiver
    subscription: EventSubscription
    _keys: Iterator[int]

    async def raise_one(self) -> str:
        """Raise an alert under a key of its own, however long that takes; return the key."""
        key = str(next(self._keys))
        await self.alerts.raise_or_touch("nas", "backup_failed", key)
        return key

    async def hears(self, key: str) -> list[int]:
        """Follow the log until the alert of that key; return the revisions on the way."""
        revisions = list[int]()
        async for batch in self.subscription:
            for each in batch.events:
                revisions.append(each.event.position.revision)
                if each.event.alert.dedup_key == key:
                    return revisions
        raise AssertionError("the subscription ended")

    async def is_told(self, key: str, within: float) -> None:
        """Wait until the webhook has been told of that key."""
        await self.receiver.wait_until(lambda: self.told()[key] > 0, within=within)

    def told(self) -> Counter[str]:
        """Return how often each key was told."""
        bodies = (request.json["data"] for request in self.receiver.requests)
        return Counter(body["alert"]["dedup_key"] for body in bodies)


def _through(url: str, link: Link) -> str:
    return make_url(url).set(port=link.port).render_as_string(hide_password=False)


@asynccontextmanager
async def running_linked(alert_url: str, notify_url: str, **alert: Any) -> AsyncIterator[Linked]:
    """Run all of it. `alert` are settings of the alert service."""
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        receiver = await enter(running_receiver())
        far_ends = {
            "alert-postgresql": make_url(alert_url).port,
            "notify-postgresql": make_url(notify_url).port,
            "notify-channel": receiver.port,
        }
        links = {name: await enter(linked_to(port or 0)) for name, port in far_ends.items()}
        for name in ("alert-postgresql", "notify-postgresql"):
            links[name].systems_ask_for = SYSTEMS_ASK_FOR
        url = _through(alert_url, links["alert-postgresql"])
        service = await enter(running_alert(url, **alert))
        for name in ("client-alert", "alert-notify"):
            links[name] = await enter(linked_to(service.app.port))
        notify = await enter(
            running_notify(
                _through(notify_url, links["notify-postgresql"]),
                links["alert-notify"].target,
                retry_seconds=_RETRIES,
                breaker_failures=0,
                flap_raises=0,
                lease_seconds=5,
            )
        )
        webhook = WebhookConfig(url=f"http://{links['notify-channel'].target}")
        steering = await enter(NotifyClient(f"127.0.0.1:{notify.port}"))
        await steering.create_channel(Channel(display_name="on call", webhook=webhook))
        alerts = await enter(AlertClient(links["client-alert"].target, retry=PATIENT))
        subscription = EventSubscription(alerts.channel, on_first="oldest", retry=PATIENT)
        yield Linked(links, alerts, receiver, await enter(subscription), count(1))
