"""Whether addresses to listen on stand in each other's way."""

from __future__ import annotations

from ipaddress import ip_address
from itertools import combinations
from typing import TYPE_CHECKING

from tocsin.common.rpc.loopback import is_loopback

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def clashes(addresses: Mapping[str, str | None]) -> Iterator[tuple[str, str]]:
    """Yield each two names whose addresses, host:port, would share a port.

    The system does not refuse all of them: processes that share a port by SO_REUSEPORT share it
    with each other's other purposes, too, and a call reaches one or the other by chance.
    """
    given = [(name, address) for name, address in addresses.items() if address is not None]
    for (name, address), (other, its_address) in combinations(given, 2):
        if _clash(address, its_address):
            yield name, other


def _clash(one: str, other: str) -> bool:
    (host, port), (its_host, its_port) = _split(one), _split(other)
    if port != its_port or port == 0:
        return False
    return host == its_host or _is_any(host) or _is_any(its_host) or _both_local(one, other)


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]").lower(), int(port)


def _is_any(host: str) -> bool:
    try:
        return ip_address(host).is_unspecified
    except ValueError:
        return False


def _both_local(one: str, other: str) -> bool:
    """Whether both are on loopback and one says so by name: it stands for any of them."""
    named = "localhost" in {_split(one)[0], _split(other)[0]}
    return named and is_loopback(one) and is_loopback(other)
