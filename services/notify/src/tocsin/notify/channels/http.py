"""Guarded HTTP: one request per attempt.

All channels that speak HTTP send through here. No connection escapes the address guard, and none
is kept that nobody uses: see `connections.py`. Redirects are not followed, proxies and cookies not
used; the answer is bounded in bytes and in time.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tocsin.notify.channels.base import SEND_SECONDS
from tocsin.notify.channels.judging import judge_by_status

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable, Mapping

    from tocsin.common.clock import Clock
    from tocsin.notify.channels.address_guard import Network
    from tocsin.notify.channels.attempts import Attempts
    from tocsin.notify.channels.judging import Judge
    from tocsin.notify.domain.channel import Secrets
    from tocsin.notify.domain.delivery import Receipt

_JSON = "application/json; charset=utf-8"


@dataclass(frozen=True, slots=True, repr=False)
class HttpRequest:
    """One request. Its URL and its headers may hold secrets, so it is never shown."""

    url: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "POST"


def json_request(url: str, document: Any, headers: Mapping[str, str] | None = None) -> HttpRequest:
    """Return a POST of a JSON document."""
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return HttpRequest(
        url, body.encode("utf-8", "replace"), {"content-type": _JSON, **(headers or {})}
    )


class GuardedHttp:
    """Makes requests to addresses that may be dialled.

    `allowed_networks` may be although they are not public. `tls` verifies servers; the default
    trusts what the system trusts. `seconds` bound an attempt as a whole.
    """

    def __init__(
        self,
        allowed_networks: Iterable[Network],
        *,
        clock: Clock,
        tls: ssl.SSLContext | None = None,
        seconds: float = SEND_SECONDS,
    ) -> None:
        self._allowed = tuple(allowed_networks)
        self._clock = clock
        self._tls = tls
        self._seconds = seconds

    async def call(
        self, request: HttpRequest, secrets: Secrets, judge: Judge = judge_by_status
    ) -> Receipt:
        """Make one attempt and say how it ended. Never raises for what a far side does.

        The secrets, and what authorizes the request, are taken out of all that is said.
        """
        return await self._attempts.call(request, secrets, judge)

    @cached_property
    def _attempts(self) -> Attempts:
        from tocsin.notify.channels.attempts import Attempts  # much to load: see there

        return Attempts(self._allowed, clock=self._clock, tls=self._tls, seconds=self._seconds)
