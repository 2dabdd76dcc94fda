"""The requests on alerts, built from plain Python arguments.

Builders that take a `request_id` make one when none is given, so that sending the same request
again, after whatever failure, changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from tocsin.api.alert.v1 import alert_pb2, alert_service_pb2
from tocsin.client.values import enum_value, enum_values, timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

MAX_BATCH = 1_000


def new_request_id() -> str:
    """Return a new request id."""
    return str(uuid4())


def raise_or_touch(
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
) -> alert_service_pb2.RaiseOrTouchRequest:
    """Build the report of a failure.

    `severity` is `info`, `warning`, `critical` or its number; None lets the server choose.
    `observe_time` must be aware; None means the server's time of receipt.

    Example:
        >>> raise_or_touch("web-1", "backup_failed", "home", severity="critical").severity
        3
    """
    return alert_service_pb2.RaiseOrTouchRequest(
        host_id=host_id,
        kind=kind,
        dedup_key=dedup_key,
        severity=enum_value("severity", alert_pb2.Severity, severity),
        message=message,
        cause=cause,
        labels=dict(labels or {}),
        observe_time=timestamp("observe_time", observe_time),
        request_id=request_id or new_request_id(),
    )


def batch_raise_or_touch(
    requests: Sequence[alert_service_pb2.RaiseOrTouchRequest],
) -> alert_service_pb2.BatchRaiseOrTouchRequest:
    """Build one call of 1 to 1,000 reports. Those without a request_id get one, in a copy."""
    if not 1 <= len(requests) <= MAX_BATCH:
        raise ValueError(f"requests: {len(requests)} of them; send 1 to {MAX_BATCH} at once")
    batch = alert_service_pb2.BatchRaiseOrTouchRequest(requests=requests)
    for request in batch.requests:
        request.request_id = request.request_id or new_request_id()
    return batch


def auto_resolve(
    host_id: str,
    kind: str,
    dedup_key: str = "",
    *,
    message: str = "",
    observe_time: datetime | None = None,
    request_id: str | None = None,
) -> alert_service_pb2.AutoResolveRequest:
    """Build the report of a success: it clears what `raise_or_touch` raised under this key."""
    return alert_service_pb2.AutoResolveRequest(
        host_id=host_id,
        kind=kind,
        dedup_key=dedup_key,
        message=message,
        observe_time=timestamp("observe_time", observe_time),
        request_id=request_id or new_request_id(),
    )


def acknowledge(
    alert_id: str | UUID,
    *,
    note: str = "",
    on_behalf_of: str = "",
    expire_time: datetime | None = None,
    request_id: str | None = None,
) -> alert_service_pb2.AcknowledgeRequest:
    """Build an acknowledgement. `expire_time` must be aware; None means 24 h from now."""
    return alert_service_pb2.AcknowledgeRequest(
        alert_id=str(alert_id),
        note=note,
        on_behalf_of=on_behalf_of,
        expire_time=timestamp("expire_time", expire_time),
        request_id=request_id or new_request_id(),
    )


def resolve(
    alert_id: str | UUID,
    *,
    note: str = "",
    on_behalf_of: str = "",
    request_id: str | None = None,
) -> alert_service_pb2.ResolveRequest:
    """Build a resolve by hand."""
    return alert_service_pb2.ResolveRequest(
        alert_id=str(alert_id),
        note=note,
        on_behalf_of=on_behalf_of,
        request_id=request_id or new_request_id(),
    )


def get_alert(alert_id: str | UUID) -> alert_service_pb2.GetAlertRequest:
    """Ask for one alert."""
    return alert_service_pb2.GetAlertRequest(alert_id=str(alert_id))


def list_alerts(
    *,
    statuses: Iterable[str | int] = (),
    host_ids: Iterable[str] = (),
    kinds: Iterable[str] = (),
    min_severity: str | int | None = None,
    page_size: int = 0,
    page_token: str = "",
) -> alert_service_pb2.ListAlertsRequest:
    """Ask for a page of alerts.

    `statuses` are of `open`, `acknowledged`, `resolved`; none of them means the first two.
    """
    return alert_service_pb2.ListAlertsRequest(
        statuses=enum_values("statuses", alert_pb2.AlertStatus, statuses),
        host_ids=host_ids,
        kinds=kinds,
        min_severity=enum_value("min_severity", alert_pb2.Severity, min_severity),
        page_size=page_size,
        page_token=page_token,
    )


def list_alert_events(
    alert_id: str | UUID, *, page_size: int = 0, page_token: str = ""
) -> alert_service_pb2.ListAlertEventsRequest:
    """Ask for a page of the timeline of an alert."""
    return alert_service_pb2.ListAlertEventsRequest(
        alert_id=str(alert_id), page_size=page_size, page_token=page_token
    )
