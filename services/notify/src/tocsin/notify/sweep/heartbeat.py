"""The sign of life: a request to a URL that somebody waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from tocsin.notify.channels.http import GuardedHttp, HttpRequest
from tocsin.notify.domain.channel import Secrets
from tocsin.notify.domain.delivery import AttemptOutcome

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tocsin.common.clock import Clock
    from tocsin.notify.channels.address_guard import Network

_log = structlog.get_logger(__name__)


class HttpHeartbeat:
    """Gets a URL, through the guard that all channels go through. The URL is a secret."""

    def __init__(self, url: str, allowed_networks: Iterable[Network], *, clock: Clock) -> None:
        self._url = url
        self._http = GuardedHttp(allowed_networks, clock=clock)

    async def send(self) -> bool:
        """Make one attempt, and return whether the answer was a success (2xx)."""
        request = HttpRequest(self._url, method="GET")
        receipt = await self._http.call(request, Secrets(url=self._url))
        is_sent = receipt.outcome is AttemptOutcome.DELIVERED
        if not is_sent:
            _log.warning("heartbeat_not_sent", detail=receipt.detail)
        return is_sent
