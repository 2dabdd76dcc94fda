"""Bearer tokens: 32 random bytes, shown once, and known afterwards by their digest only."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PREFIX = "tocsin_"
"""What scanners for leaked secrets may look for: `tocsin_` and 43 characters of base64url."""

_BYTES = 32
_TOKEN = re.compile(r"tocsin_[A-Za-z0-9_-]{43}")
_SCHEME = "bearer "


def new_token(random_bytes: Callable[[int], bytes]) -> str:
    """Return a new token."""
    return PREFIX + base64.urlsafe_b64encode(random_bytes(_BYTES)).decode().rstrip("=")


def digest_of(token: str) -> bytes:
    """Return the SHA-256 of a token: all that is kept of it.

    It is looked up as it is. How long that takes tells nothing of any token: to steer a digest
    one would have to invert SHA-256. No salt and no slow hash: there is nothing to guess in 32
    random bytes.
    """
    return hashlib.sha256(token.encode("ascii", "replace")).digest()


def is_token(text: str) -> bool:
    """Whether a text has the form of a token."""
    return _TOKEN.fullmatch(text) is not None


def bearer(header: str) -> str | None:
    """Return the token of an `authorization` header; None when it is no bearer of one."""
    if header[: len(_SCHEME)].lower() != _SCHEME:
        return None
    token = header[len(_SCHEME) :].strip()
    return token if is_token(token) else None
