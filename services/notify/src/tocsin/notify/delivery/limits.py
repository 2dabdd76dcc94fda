"""How much a channel takes at a time: its own rate limit, or that of its type."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from tocsin.notify.domain.channel import ChannelType, RateLimit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    import asyncpg

    from tocsin.notify.domain.channel_type import ChannelSpec

# So many are looked at where a rate limit is to choose among them: the worst go first.
_LOOK_FURTHER = 1_000


@dataclass(frozen=True, slots=True)
class ChannelLimits:
    """A channel as a claim needs it.

    `version` is that of its configuration, `update_time` when that was last changed.
    """

    version: int
    update_time: datetime
    rate: RateLimit | None
    carries_digests: bool

    def look(self, limit: int) -> int:
        """Return how many are to be looked at so that `limit` of them can be chosen."""
        has_rate = self.rate is not None and self.rate.burst > 0
        return max(limit, _LOOK_FURTHER) if has_rate else limit


def limits_of(row: asyncpg.Record, specs: Mapping[ChannelType, ChannelSpec]) -> ChannelLimits:
    """Return the limits of a channel, as `statements.CHANNEL` reads it.

    A type that `specs` does not name has no limit, and carries no digests.
    """
    spec = specs.get(ChannelType(row["type"]))
    rate = None if spec is None else spec.default_rate_limit
    if row["rate_limit"] is not None:
        own = json.loads(row["rate_limit"])
        rate = RateLimit(own["burst"], timedelta(seconds=own["refill_seconds"]))
    return ChannelLimits(
        row["version"], row["update_time"], rate, spec is not None and spec.carries_digests
    )
