"""The key: what is wrong, where, and which of several."""

from __future__ import annotations

from typing import NamedTuple


class Key(NamedTuple):
    """At most one alert that is not resolved exists per key.

    Keys are ordered, so that every transaction locks them in the same order.
    """

    host_id: str
    kind: str
    dedup_key: str
