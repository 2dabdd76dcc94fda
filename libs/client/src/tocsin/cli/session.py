"""One run of a command: its clients, opened when they are needed, and its output."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from tocsin.client.backup_sync import SyncBackupClient
from tocsin.client.identity_sync import SyncIdentityClient
from tocsin.client.notify_sync import SyncNotifyClient
from tocsin.client.retry import RetryPolicy
from tocsin.client.sync import SyncAlertClient

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from tocsin.cli.output import Output
    from tocsin.client.calls import SyncCalls

DEFAULT_ALERT_TARGET = "127.0.0.1:7070"
DEFAULT_NOTIFY_TARGET = "127.0.0.1:7071"


@dataclass
class Session:
    """What a command works with. `seconds` bounds each call with all of its attempts."""

    output: Output
    alert_target: str = DEFAULT_ALERT_TARGET
    notify_target: str = DEFAULT_NOTIFY_TARGET
    seconds: float = 5.0
    _opened: ExitStack = field(default_factory=ExitStack)
    _asked: tuple[str, str] = ("", "")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._opened.close()

    @property
    def alerts(self) -> SyncAlertClient:
        self._asked = (self.alert_target, "--target or TOCSIN_ALERT_TARGET")
        return self._alerts

    @property
    def backups(self) -> SyncBackupClient:
        self._asked = (self.alert_target, "--target or TOCSIN_ALERT_TARGET")
        return self._backups

    @property
    def notify(self) -> SyncNotifyClient:
        self._asked = (self.notify_target, "--notify-target or TOCSIN_NOTIFY_TARGET")
        return self._notify

    def identity(self, service: str) -> SyncIdentityClient:
        """Return the client of the credentials of `alert` or `notify`."""
        connected: SyncCalls = self.alerts if service == "alert" else self.notify
        return SyncIdentityClient(connected.channel, retry=self._retry)

    @property
    def asked(self) -> tuple[str, str]:
        """The target that was asked last, and how to name another."""
        return self._asked

    @cached_property
    def _alerts(self) -> SyncAlertClient:
        return self._opened.enter_context(SyncAlertClient(self.alert_target, retry=self._retry))

    @cached_property
    def _backups(self) -> SyncBackupClient:
        return self._opened.enter_context(SyncBackupClient(self.alert_target, retry=self._retry))

    @cached_property
    def _notify(self) -> SyncNotifyClient:
        return self._opened.enter_context(SyncNotifyClient(self.notify_target, retry=self._retry))

    def now(self) -> datetime:
        """Return the time now, for ages."""
        return datetime.now(UTC)

    @property
    def _retry(self) -> RetryPolicy:
        total = timedelta(seconds=self.seconds)
        return RetryPolicy(total=total, attempt=total)
