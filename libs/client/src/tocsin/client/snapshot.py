"""Takes a snapshot from a stream, and looks up what became of the alerts that it lacks."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from tocsin.api.alert.v1.alert_service_pb2 import GetAlertRequest
from tocsin.client.continuity import OutOfStepError
from tocsin.client.errors import NotFoundError
from tocsin.client.known import KnownAlerts
from tocsin.client.retry import RetryPolicy, call_async

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tocsin.api.alert.v1.alert_pb2 import Alert
    from tocsin.api.alert.v1.alert_service_pb2_grpc import AlertServiceAsyncStub
    from tocsin.api.alert.v1.event_pb2 import Position
    from tocsin.client.stream import EventStream

_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All alerts that were not resolved, by alert_id, as of a position."""

    alerts: Mapping[str, Alert]
    position: Position
    caught_up: bool


async def collect(stream: EventStream) -> Snapshot:
    """Read a stream up to the end of its snapshot.

    Raises OutOfStepError when its pages are not of one snapshot, and what the stream raises.
    """
    alerts = KnownAlerts()
    first = message = await stream.next()
    while True:
        if message.events or not message.position.epoch or message.position != first.position:
            raise OutOfStepError("The pages of the snapshot do not belong together.")
        alerts.update((alert.alert_id, alert) for alert in message.snapshot_alerts)
        if message.snapshot_complete:
            return Snapshot(alerts, message.position, message.caught_up)
        message = await stream.next()


async def look_up(
    stub: AlertServiceAsyncStub, alert_ids: Iterable[str], retry: RetryPolicy
) -> dict[str, Alert | None]:
    """Return the alerts as they are now, None for one that the service does not know.

    Raises CallError when the service cannot be asked.
    """
    found: dict[str, Alert | None] = {}
    rest = iter(alert_ids)
    while chunk := list(islice(rest, _AT_ONCE)):
        found.update(await _look_up_chunk(stub, chunk, retry))
    return found


async def _look_up_chunk(
    stub: AlertServiceAsyncStub, alert_ids: list[str], retry: RetryPolicy
) -> dict[str, Alert | None]:
    try:
        async with asyncio.TaskGroup() as group:
            tasks = {each: group.create_task(_look_up(stub, each, retry)) for each in alert_ids}
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return {each: task.result() for each, task in tasks.items()}


async def _look_up(stub: AlertServiceAsyncStub, alert_id: str, retry: RetryPolicy) -> Alert | None:
    request = GetAlertRequest(alert_id=alert_id)
    try:
        answer = await call_async(retry, lambda timeout: stub.GetAlert(request, timeout=timeout))
    except NotFoundError:
        return None
    return answer.alert
