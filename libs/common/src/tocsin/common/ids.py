"""Identities: UUIDv7, so that ids sort by the time of their making (RFC 9562, section 5.7)."""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

import uuid_utils


class NewId(Protocol):
    """Makes a new id at each call."""

    def __call__(self) -> UUID: ...


def uuid7() -> UUID:
    """Return a new UUIDv7. Those of one process never fall, not even within a millisecond."""
    return UUID(int=uuid_utils.uuid7().int)
