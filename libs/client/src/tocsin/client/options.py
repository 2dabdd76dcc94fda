"""How a subscription may be asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypedDict, get_args

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import timedelta

    from tocsin.api.alert.v1.alert_pb2 import Alert
    from tocsin.api.alert.v1.event_pb2 import Position
    from tocsin.client.retry import RetryPolicy
    from tocsin.common.clock import Clock

OnFirst = Literal["now", "oldest", "snapshot_known", "snapshot_raised"]


class SubscriptionOptions(TypedDict, total=False):
    """The keyword arguments of EventSubscription, for AlertClient.subscribe."""

    after: Position | None
    on_first: OnFirst
    known: Iterable[Alert]
    host_ids: Iterable[str]
    kinds: Iterable[str]
    min_severity: str | int | None
    types: Iterable[str | int]
    on_state: Callable[[bool], None] | None
    retry: RetryPolicy | None
    silence: timedelta
    clock: Clock | None


def begins_with_snapshot(on_first: OnFirst) -> bool:
    """Whether a fresh subscription takes a snapshot first. Raises ValueError for an unknown way."""
    ways = get_args(OnFirst)
    if on_first not in ways:
        raise ValueError(f"on_first: {on_first!r} is none of {', '.join(ways)}")
    return on_first.startswith("snapshot_")
