"""Signatures by Standard Webhooks 1.0 (https://www.standardwebhooks.com). Pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

PREFIX = "whsec_"
LEAST_BYTES = 24
MOST_BYTES = 64
_NEW_BYTES = 32


def new_secret(random_bytes: Callable[[int], bytes]) -> str:
    """Make a signing secret of 32 bytes."""
    return PREFIX + base64.b64encode(random_bytes(_NEW_BYTES)).decode()


def read_secret(text: str) -> bytes:
    """Return the bytes of a signing secret. Raises ValueError, which never repeats it."""
    if not text.startswith(PREFIX):
        raise ValueError(f"must begin with {PREFIX}")
    encoded = text.removeprefix(PREFIX)
    padding = "=" * (-len(encoded) % 4)
    try:
        key = base64.b64decode(encoded + padding, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"must be base64 after {PREFIX}") from None
    if not LEAST_BYTES <= len(key) <= MOST_BYTES:
        raise ValueError(
            f"holds {len(key)} bytes; it must hold {LEAST_BYTES} to {MOST_BYTES}, for example"
            f" the output of: echo {PREFIX}$(openssl rand -base64 32)"
        )
    return key


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """Return one signature, `v1,` and HMAC-SHA256 in base64, over id, time (Unix) and body."""
    signed = b".".join((message_id.encode(), str(timestamp).encode(), body))
    digest = hmac.new(read_secret(secret), signed, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def signature_headers(
    secrets: Iterable[str], message_id: str, now: datetime, body: bytes
) -> dict[str, str]:
    """Return the three headers, with one signature for each secret that is valid."""
    timestamp = int(now.timestamp())
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(
            sign(secret, message_id, timestamp, body) for secret in secrets
        ),
    }
