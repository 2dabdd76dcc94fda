"""The asyncio client of alerts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.api.alert.v1.alert_service_pb2_grpc import AlertServiceStub
from tocsin.client import requests
from tocsin.client.calls import AsyncCalls
from tocsin.client.subscription import EventSubscription

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
    from datetime import datetime
    from typing import Unpack
    from uuid import UUID

    import grpc.aio

    from tocsin.api.alert.v1 import alert_service_pb2 as pb
    from tocsin.api.alert.v1.alert_pb2 import Alert
    from tocsin.api.alert.v1.event_pb2 import AlertEvent
    from tocsin.client.options import SubscriptionOptions
    from tocsin.client.retry import RetryPolicy
    from tocsin.common.rpc.client_credentials import ClientCredentials


class AlertClient(AsyncCalls):
    """Reports failures and successes, keeps and shows alerts, and follows their events.

    Every method raises CallError. A call that returns is durable; one that fails may be repeated
    with the same request_id. Enum arguments take a short name (`critical`) or a number, times
    must be aware.

    Example:
        >>> async with AlertClient("127.0.0.1:7070") as alerts:
        ...     await alerts.raise_or_touch("web-1", "backup_failed", "home", message=stderr)
        ...     await alerts.auto_resolve("web-1", "backup_failed", "home")
    """

    _service = "ALERT"

    def __init__(
        self,
        target: str | grpc.aio.Channel,
        *,
        retry: RetryPolicy | None = None,
        credentials: ClientCredentials | None = None,
    ) -> None:
        super().__init__(target, retry=retry, credentials=credentials)
        self._stub = AlertServiceStub(self.channel)

    async def raise_or_touch(
        self,
        host_id: str,
        kind: str,
        dedup_key: str = "",
        *,
        severity: str | int | None = None,
        message: str = "",
        cause: str = "",
        labels: Mapping[str, str] | None = None,
        observe_time: datetime | None = None,
        request_id: str | None = None,
    ) -> pb.RaiseOrTouchResponse:
        """Report a failure: raise an alert, or touch the one that is open under this key."""
        request = requests.raise_or_touch(
            host_id,
            kind,
            dedup_key,
            severity=severity,
            message=message,
            cause=cause,
            labels=labels,
            observe_time=observe_time,
            request_id=request_id,
        )
        return await self._call(self._stub.RaiseOrTouch, request)

    async def batch_raise_or_touch(
        self, reports: Sequence[pb.RaiseOrTouchRequest]
    ) -> pb.BatchRaiseOrTouchResponse:
        """Report up to 1,000 failures, made by `requests.raise_or_touch`, in one call.

        `results[i]` answers `reports[i]`, with a response or an error. Those that failed with
        UNAVAILABLE may be sent again as they are.
        """
        return await self._call(
            self._stub.BatchRaiseOrTouch, requests.batch_raise_or_touch(reports)
        )

    async def auto_resolve(
        self,
        host_id: str,
        kind: str,
        dedup_key: str = "",
        *,
        message: str = "",
        observe_time: datetime | None = None,
        request_id: str | None = None,
    ) -> pb.AutoResolveResponse:
        """Report a success: resolve the alert that is open under this key, if there is one."""
        request = requests.auto_resolve(
            host_id,
            kind,
            dedup_key,
            message=message,
            observe_time=observe_time,
            request_id=request_id,
        )
        return await self._call(self._stub.AutoResolve, request)

    async def acknowledge(
        self,
        alert_id: str | UUID,
        *,
        note: str = "",
        on_behalf_of: str = "",
        expire_time: datetime | None = None,
        request_id: str | None = None,
    ) -> pb.AcknowledgeResponse:
        """Take an alert on until `expire_time`, 24 h from now when None."""
        request = requests.acknowledge(
            alert_id,
            note=note,
            on_behalf_of=on_behalf_of,
            expire_time=expire_time,
            request_id=request_id,
        )
        return await self._call(self._stub.Acknowledge, request)

    async def resolve(
        self,
        alert_id: str | UUID,
        *,
        note: str = "",
        on_behalf_of: str = "",
        request_id: str | None = None,
    ) -> pb.ResolveResponse:
        """Resolve an alert by hand."""
        request = requests.resolve(
            alert_id, note=note, on_behalf_of=on_behalf_of, request_id=request_id
        )
        return await self._call(self._stub.Resolve, request)

    async def get_alert(self, alert_id: str | UUID) -> Alert:
        """Return one alert as it is now. Raises NotFoundError."""
        answer = await self._call(self._stub.GetAlert, requests.get_alert(alert_id))
        return answer.alert

    async def list_alerts_page(
        self,
        *,
        statuses: Iterable[str | int] = (),
        host_ids: Iterable[str] = (),
        kinds: Iterable[str] = (),
        min_severity: str | int | None = None,
        page_size: int = 0,
        page_token: str = "",
    ) -> pb.ListAlertsResponse:
        """Return one page of alerts, the latest raised first, with the position it was read at.

        No statuses means those that are not resolved.
        """
        request = requests.list_alerts(
            statuses=statuses,
            host_ids=host_ids,
            kinds=kinds,
            min_severity=min_severity,
            page_size=page_size,
            page_token=page_token,
        )
        return await self._call(self._stub.ListAlerts, request)

    async def list_alerts(
        self,
        *,
        statuses: Iterable[str | int] = (),
        host_ids: Iterable[str] = (),
        kinds: Iterable[str] = (),
        min_severity: str | int | None = None,
        page_size: int = 0,
    ) -> AsyncIterator[Alert]:
        """Walk over all alerts, page by page, the latest raised first."""
        request = requests.list_alerts(
            statuses=statuses,
            host_ids=host_ids,
            kinds=kinds,
            min_severity=min_severity,
            page_size=page_size,
        )
        async for page in self._pages(self._stub.ListAlerts, request):
            for alert in page.alerts:
                yield alert

    async def list_alert_events_page(
        self, alert_id: str | UUID, *, page_size: int = 0, page_token: str = ""
    ) -> pb.ListAlertEventsResponse:
        """Return one page of the timeline of an alert, the oldest event first."""
        request = requests.list_alert_events(alert_id, page_size=page_size, page_token=page_token)
        return await self._call(self._stub.ListAlertEvents, request)

    async def list_alert_events(
        self, alert_id: str | UUID, *, page_size: int = 0
    ) -> AsyncIterator[AlertEvent]:
        """Walk over the timeline of an alert, the oldest event first."""
        request = requests.list_alert_events(alert_id, page_size=page_size)
        async for page in self._pages(self._stub.ListAlertEvents, request):
            for event in page.events:
                yield event

    def subscribe(self, **options: Unpack[SubscriptionOptions]) -> EventSubscription:
        """Follow the event log; see EventSubscription. Close it before this client."""
        return EventSubscription(self.channel, **options)
