"""Whether an address stays on this machine."""

from __future__ import annotations

import socket
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

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


def listens_on_loopback(
    listen: str, resolve: Callable[..., list[Any]] = socket.getaddrinfo
) -> bool:
    """Whether only this machine reaches what listens on host:port.

    `localhost` is looked up: it is what the system says it is, which is mostly /etc/hosts.
    """
    host = listen.rpartition(":")[0].strip("[]")
    if host != "localhost":
        return is_loopback(listen)
    try:
        found = resolve(host, None, type=socket.SOCK_STREAM)
    except OSError:  # then nothing can listen there, either
        return True
    return all(ip_address(address[0].partition("%")[0]).is_loopback for *_, address in found)
