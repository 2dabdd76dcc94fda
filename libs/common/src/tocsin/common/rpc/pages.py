"""Page tokens: where the next page begins, as a text that means something only to the server.

A token is bound to its scope (the method and its filters) and carries a checksum, so that one
that was made up, cut, or taken from another list is told from one that this service gave. It
holds no secret, and any replica reads it.
"""

from __future__ import annotations

import base64
import binascii
import json
from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tocsin.common.errors import Violations

TOKEN_CHARACTERS = 4096

_CHECKSUM_BYTES = 8
_MADE_UP = (
    "is not a token that this list gave for the same filters; "
    "send next_page_token of the page before as it came, or leave it empty for the first page"
)


def page_token(scope: bytes, place: Sequence[str]) -> str:
    """Return the token of the page that begins after `place`."""
    payload = json.dumps(list(place), separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_checksum(scope, payload) + payload).decode().rstrip("=")


def read_page_token(
    found: Violations, path: str, token: str, scope: bytes, *, parts: int
) -> tuple[str, ...] | None:
    """Return the place that a token holds, in `parts` parts, or note that it holds none.

    An empty token is the first page: None, and nothing is noted.
    """
    if not token:
        return None
    place = _place(token, scope)
    if place is None or len(place) != parts:
        found.add(path, _MADE_UP)
        return None
    return place


def note_made_up(found: Violations, path: str) -> None:
    """Note a token whose checksum is right but whose place makes no sense."""
    found.add(path, _MADE_UP)


def _place(token: str, scope: bytes) -> tuple[str, ...] | None:
    if len(token) > TOKEN_CHARACTERS:
        return None
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        checksum, payload = raw[:_CHECKSUM_BYTES], raw[_CHECKSUM_BYTES:]
        place = json.loads(payload) if checksum == _checksum(scope, payload) else None
    except (binascii.Error, ValueError):
        return None
    if not isinstance(place, list) or not all(isinstance(part, str) for part in place):
        return None
    return tuple(place)


def _checksum(scope: bytes, payload: bytes) -> bytes:
    scoped = blake2b(scope, digest_size=32).digest()
    return blake2b(payload, key=scoped, digest_size=_CHECKSUM_BYTES).digest()
