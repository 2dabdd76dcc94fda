"""Where a service is: host:port, or one of gRPC's own names such as unix:/run/tocsin.sock."""

from __future__ import annotations

import re

from tocsin.cli.exits import wrong_usage

_LARGEST_PORT = 65_535
_HOST_AND_PORT = re.compile(r"(?:[^\s:/\[\]]+|\[[0-9A-Fa-f:.%]+\]):(\d{1,5})", re.ASCII)
_NAME_OF_GRPC = re.compile(r"(?:dns|unix|unix-abstract|ipv4|ipv6|vsock|xds):.+", re.DOTALL)


def check_target(option: str, given: str) -> None:
    """Raise a usage error for what cannot be called: gRPC would take port 443 where none is."""
    if _NAME_OF_GRPC.fullmatch(given):
        return
    found = _HOST_AND_PORT.fullmatch(given)
    if not found or not 0 < int(found[1]) <= _LARGEST_PORT:
        raise wrong_usage(f"{option}: {given!r} is not HOST:PORT; write for example 127.0.0.1:7070")
