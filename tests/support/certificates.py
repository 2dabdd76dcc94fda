"""An authority of our own, so that TLS is verified in tests as it is outside."""

from __future__ import annotations

import ssl
from functools import cache

import trustme


@cache
def _authority() -> trustme.CA:
    return trustme.CA()


def server_tls(*names: str) -> ssl.SSLContext:
    """Return what a server of these names (127.0.0.1 unless given) presents."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    _authority().issue_cert(*(names or ("127.0.0.1",))).configure_cert(context)
    return context


def client_tls() -> ssl.SSLContext:
    """Return what trusts those servers, and verifies them."""
    context = ssl.create_default_context()
    _authority().configure_trust(context)
    return context
