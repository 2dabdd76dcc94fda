"""Identities of client certificates: their subject alternative names, written unmistakably."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

NAME_CHARACTERS = 256

# A URI stands as it is (`spiffe://example.org/agent/web-1`); the others bear what they are, so
# that no name of one sort can pass for a name of another, nor for the name of a token.
_SORTS = (("peer_uri", ""), ("peer_dns", "dns:"), ("peer_email", "email:"))
_NAME = re.compile(
    r"[a-z][a-z0-9+.-]*://[!-~]+|dns:(\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*|email:[!-~]+@[!-~]+"
)


def names_in(auth_context: Mapping[str, Iterable[bytes]]) -> list[str]:
    """Return the names in a verified certificate: its URIs first, then DNS names, then e-mail.

    `auth_context` is what gRPC tells of a connection; it is empty of them without a certificate.
    The common name is none: it has no type. Nor is a URI without `://`: `dns:web-1` is one by its
    syntax (RFC 4501), and would pass for a DNS name that the authority never vouched for.
    """
    names = (
        (sort, prefix + name.decode("utf-8", "replace"))
        for sort, prefix in _SORTS
        for name in auth_context.get(sort, ())
    )
    return [name for sort, name in names if sort != "peer_uri" or "://" in name]


def is_name(text: str) -> bool:
    """Whether a text can be the name of a certificate."""
    return len(text) <= NAME_CHARACTERS and _NAME.fullmatch(text) is not None
