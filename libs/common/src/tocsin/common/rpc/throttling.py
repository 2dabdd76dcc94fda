"""How much one caller may ask for: calls in a second, and streams at a time.

A caller is its proven identity, whatever number of connections it has; without one it is its
address, also where nobody is let in like that. Callers of this machine that prove nothing are not
counted: they are all the same one.
"""

from __future__ import annotations

import time
from datetime import timedelta
from functools import lru_cache, partial
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from google.protobuf import descriptor_pool

from tocsin.common.errors import (
    PermissionDeniedError,
    ResourceExhaustedError,
    UnauthenticatedError,
)
from tocsin.common.rpc.caller import ANONYMOUS, Peer

if TYPE_CHECKING:
    from collections.abc import Callable

    import grpc

    from tocsin.common.errors import TocsinError
    from tocsin.common.rpc.caller import Admission
    from tocsin.common.rpc.limits import RpcLimits

    Context = grpc.aio.ServicerContext[Any, Any]

MOST_REMEMBERED: Final = 10_000
"""So many callers are remembered at most. One that is forgotten has its whole burst again."""

_ROUNDING_SECONDS: Final = 1e-6  # a pause that is told is a whole number of microseconds
_LEAST_PAUSE_SECONDS: Final = 0.001


class Rates:
    """A token bucket for each caller. `now` is a clock that only goes forward, in seconds."""

    def __init__(self, per_second: float, burst: int, now: Callable[[], float]) -> None:
        self._per_second = per_second
        self._burst = max(1, burst)
        self._now = now
        # When the bucket of a caller will be full again.
        self._full_at: dict[str, float] = {}

    def take(self, caller: str) -> None:
        """Count a call. Raises ResourceExhaustedError (RATE_LIMITED) when there are too many."""
        now = self._now()
        full_at = max(self._full_at.get(caller, now), now) + 1 / self._per_second
        over = full_at - now - self._burst / self._per_second
        if over > _ROUNDING_SECONDS:
            raise ResourceExhaustedError(
                f"More than {self._per_second:g} calls in a second came from this caller, after "
                f"{self._burst:,} at once. Nothing was done; come back later, or send batches.",
                reason="RATE_LIMITED",
                retry_after=timedelta(seconds=max(over, _LEAST_PAUSE_SECONDS)),
            )
        self._full_at[caller] = full_at
        if len(self._full_at) > MOST_REMEMBERED:
            self._forget(now)

    def _forget(self, now: float) -> None:
        """Forget those whose buckets are full; if there are none, the older half."""
        kept = {caller: full_at for caller, full_at in self._full_at.items() if full_at > now}
        if len(kept) > MOST_REMEMBERED:
            kept = dict(list(kept.items())[len(kept) // 2 :])
        self._full_at = kept


class Streams:
    """How many streams each caller holds."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.held: dict[str, int] = {}

    def begin(self, caller: str, context: Context) -> None:
        """Count a stream until its call ends.

        Raises ResourceExhaustedError (TOO_MANY_STREAMS) when there are too many.
        """
        held = self.held.get(caller, 0)
        if held >= self._most:
            raise ResourceExhaustedError(
                f"This caller holds {held:,} streams, and may hold no more. End one of them first.",
                reason="TOO_MANY_STREAMS",
                retry_after=timedelta(seconds=1),
            )
        self.held[caller] = held + 1
        end = partial(self._end, caller)
        context.add_done_callback(end)  # type: ignore[arg-type]  # the stub wants a class of its own

    def _end(self, caller: str, _: Context) -> None:
        left = self.held[caller] - 1
        if left:
            self.held[caller] = left
        else:
            del self.held[caller]


class ThrottledAdmission:
    """Admits whom another admission admits, unless they ask for too much.

    Health is always told: who asks for it decides whether the server is restarted.
    """

    def __init__(
        self, inner: Admission, limits: RpcLimits, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._inner = inner
        rates = partial(Rates, limits.calls_per_second, limits.call_burst, now)
        self._rates = rates() if limits.calls_per_second else None
        # Apart, so that no number of strange addresses makes a caller forgotten.
        self._strangers = rates() if limits.calls_per_second else None
        self._streams = Streams(limits.streams_per_caller) if limits.streams_per_caller else None

    def check_of(self, method: str) -> Callable[[Context], Peer]:
        """Return what admits each call of a method, and counts it.

        What it returns raises what the other admission raises, and ResourceExhaustedError.
        """
        check = self._inner.check_of(method)
        rates, streams = self._rates, self._streams if is_stream(method) else None
        if method.startswith("/grpc.health.") or (rates is None and streams is None):
            return check

        def throttled(context: Context) -> Peer:
            try:
                peer = check(context)
            except (UnauthenticatedError, PermissionDeniedError) as error:
                self._count_refused(error, context)
                raise
            caller = caller_of(peer, context)
            if caller is not None:
                if rates is not None:
                    rates.take(caller)
                if streams is not None:
                    streams.begin(caller, context)
            return peer

        return throttled

    def _count_refused(self, error: TocsinError, context: Context) -> None:
        """Count a call that is not admitted: under a name if it has one, else to its address."""
        actor = error.metadata.get("actor", ANONYMOUS)
        caller = caller_of(Peer(actor, ""), context)
        rates = self._strangers if actor == ANONYMOUS else self._rates
        if rates is not None and caller is not None:
            rates.take(caller)


def caller_of(peer: Peer, context: Context) -> str | None:
    """Return whose calls are counted together: None for anybody on this machine."""
    if peer.actor != ANONYMOUS:
        return peer.actor
    address = address_of(context.peer())
    return None if address is None else f"{ANONYMOUS} {address}"


@lru_cache(maxsize=MOST_REMEMBERED)  # a connection makes many calls
def address_of(peer: str) -> str | None:
    """Return the address in gRPC's name of a peer, None for this machine.

    Such as `ipv4:192.0.2.7:4242`, `ipv6:%5B2001:db8::7%5D:4242` or `unix:`.
    """
    kind, _, rest = peer.partition(":")
    if kind not in {"ipv4", "ipv6"}:
        return None
    text = unquote(rest).rpartition(":")[0].strip("[]")
    try:
        return None if ip_address(text).is_loopback else text
    except ValueError:
        return text


def is_stream(method: str) -> bool:
    """Whether a method, as `/package.Service/Method`, streams to or from its caller."""
    try:
        found = descriptor_pool.Default().FindMethodByName(method[1:].replace("/", "."))
    except KeyError:
        return False
    return bool(found.server_streaming or found.client_streaming)
