"""Whether an address stays on this machine."""

from __future__ import annotations

from ipaddress import ip_address

_SCHEMES = ("dns:", "ipv4:", "ipv6:")


def is_loopback(target: str) -> bool:
    """Whether nobody but this machine sees what goes to an address of the form host:port.

    gRPC's names count too: a Unix socket does, and `ipv4:127.0.0.1:7070`. A name other than
    `localhost` does not: what it means is decided elsewhere.
    """
    if target.startswith(("unix:", "unix-abstract:")):
        return True
    for scheme in _SCHEMES:
        target = target.removeprefix(scheme)
    host = target.lstrip("/").rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
