"""The alerts that are known not to be resolved, in little room."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import TYPE_CHECKING

from tocsin.api.alert.v1.alert_pb2 import ALERT_STATUS_RESOLVED, Alert

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class KnownAlerts(MutableMapping[str, Alert]):
    """Alerts by alert_id, kept serialised: some 0.3 KB each, where a message takes 2.5 KB.

    And a message that is a part of another one keeps the memory of all of it, 500 events as they
    come. What is looked up is a copy.
    """

    def __init__(self, alerts: Iterable[Alert] = ()) -> None:
        """Take those of the alerts that are not resolved."""
        self._kept = {
            each.alert_id: each.SerializeToString()
            for each in alerts
            if each.status != ALERT_STATUS_RESOLVED
        }

    def __getitem__(self, alert_id: str) -> Alert:
        return Alert.FromString(self._kept[alert_id])

    def __setitem__(self, alert_id: str, alert: Alert) -> None:
        self._kept[alert_id] = alert.SerializeToString()

    def __delitem__(self, alert_id: str) -> None:
        del self._kept[alert_id]

    def __contains__(self, alert_id: object) -> bool:
        return alert_id in self._kept

    def __iter__(self) -> Iterator[str]:
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)
