"""The client library of Tocsin: what a backup orchestrator or a subscriber imports.

Example:
    >>> from tocsin.client import SyncAlertClient
    >>> with SyncAlertClient("127.0.0.1:7070") as alerts:
    ...     alerts.raise_or_touch("web-1", "backup_failed", "home", message="exit code 1")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tocsin.client.aio import AlertClient
    from tocsin.client.backup_aio import BackupClient
    from tocsin.client.backup_sync import SyncBackupClient
    from tocsin.client.batch import StreamBatch, StreamEvent
    from tocsin.client.continuity import OutOfStepError
    from tocsin.client.errors import (
        AbortedError,
        AlreadyExistsError,
        CallCancelledError,
        CallError,
        DataLossError,
        DeadlineExceededError,
        FailedPreconditionError,
        FieldViolation,
        InternalError,
        InvalidArgumentError,
        NotFoundError,
        OutOfRangeError,
        PermissionDeniedError,
        ResourceExhaustedError,
        UnauthenticatedError,
        UnavailableError,
        UnimplementedError,
        UnknownError,
    )
    from tocsin.client.identity_sync import SyncIdentityClient
    from tocsin.client.notify_aio import NotifyClient
    from tocsin.client.notify_sync import SyncNotifyClient
    from tocsin.client.options import OnFirst
    from tocsin.client.retry import RetryPolicy
    from tocsin.client.subscription import EventSubscription, SubscriptionCounts
    from tocsin.client.sync import SyncAlertClient
    from tocsin.common.rpc.client_credentials import ClientCredentials, CredentialsError

__all__ = [
    "AbortedError",
    "AlertClient",
    "AlreadyExistsError",
    "BackupClient",
    "CallCancelledError",
    "CallError",
    "ClientCredentials",
    "CredentialsError",
    "DataLossError",
    "DeadlineExceededError",
    "EventSubscription",
    "FailedPreconditionError",
    "FieldViolation",
    "InternalError",
    "InvalidArgumentError",
    "NotFoundError",
    "NotifyClient",
    "OnFirst",
    "OutOfRangeError",
    "OutOfStepError",
    "PermissionDeniedError",
    "ResourceExhaustedError",
    "RetryPolicy",
    "StreamBatch",
    "StreamEvent",
    "SubscriptionCounts",
    "SyncAlertClient",
    "SyncBackupClient",
    "SyncIdentityClient",
    "SyncNotifyClient",
    "UnauthenticatedError",
    "UnavailableError",
    "UnimplementedError",
    "UnknownError",
]

# Where each name lives. It is loaded when it is first asked for: who only subscribes need not load
# what reports.
_HOMES = {
    "AbortedError": "errors",
    "AlertClient": "aio",
    "AlreadyExistsError": "errors",
    "BackupClient": "backup_aio",
    "CallCancelledError": "errors",
    "CallError": "errors",
    "ClientCredentials": "tocsin.common.rpc.client_credentials",
    "CredentialsError": "tocsin.common.rpc.client_credentials",
    "DataLossError": "errors",
    "DeadlineExceededError": "errors",
    "EventSubscription": "subscription",
    "FailedPreconditionError": "errors",
    "FieldViolation": "errors",
    "InternalError": "errors",
    "InvalidArgumentError": "errors",
    "NotFoundError": "errors",
    "NotifyClient": "notify_aio",
    "OnFirst": "options",
    "OutOfRangeError": "errors",
    "OutOfStepError": "continuity",
    "PermissionDeniedError": "errors",
    "ResourceExhaustedError": "errors",
    "RetryPolicy": "retry",
    "StreamBatch": "batch",
    "StreamEvent": "batch",
    "SubscriptionCounts": "subscription",
    "SyncAlertClient": "sync",
    "SyncBackupClient": "backup_sync",
    "SyncIdentityClient": "identity_sync",
    "SyncNotifyClient": "notify_sync",
    "UnauthenticatedError": "errors",
    "UnavailableError": "errors",
    "UnimplementedError": "errors",
    "UnknownError": "errors",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOMES[name]
    found = getattr(import_module(home if "." in home else f"{__name__}.{home}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
