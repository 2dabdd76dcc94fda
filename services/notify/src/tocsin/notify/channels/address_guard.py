"""Which addresses may be dialled: judged at the moment of dialling, on the address dialled.

A URL proves nothing: a name may resolve to a private address, or to a public one when it is
checked and to a private one when it is used (DNS rebinding). So the decision is made on the very
address that the socket is about to be connected to. Redirects are not followed and no proxy is
taken from the environment: nothing is dialled that did not pass here.
"""

from __future__ import annotations

import asyncio
import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tocsin.notify.channels.names import AddrInfo, Names

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# https://www.iana.org/assignments/iana-ipv4-special-registry, multicast, and one address that is
# public in form only: Azure's platform endpoint, the same on every machine there.
_NOT_PUBLIC_V4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
# Only 2000::/3 is handed out as global unicast. Loopback, unique local, link-local, site-local,
# multicast, IPv4-compatible addresses and NAT64 (64:ff9b::/96, 64:ff9b:1::/48) lie outside it …
_GLOBAL_UNICAST_V6 = IPv6Network("2000::/3")
# … and these inside: https://www.iana.org/assignments/iana-ipv6-special-registry. Teredo
# (2001::/32) and 6to4 (2002::/16) carry an IPv4 address that a relay would dial.
_NOT_PUBLIC_V6 = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",
        "2001:db8::/32",
        "2002::/16",
        "2620:4f:8000::/48",
        "3fff::/20",
    )
)


class AddressRefusedError(OSError):
    """The guard forbids to dial this address."""


def is_allowed(address: Address, allowed_networks: Iterable[Network] = ()) -> bool:
    """Whether this address may be dialled: it is public, or lies in a network that is allowed.

    An IPv4 address inside an IPv6 one (::ffff:0:0/96) is judged as the IPv4 address that it
    reaches.
    """
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return is_public(address) or any(address in network for network in allowed_networks)


def is_public(address: Address) -> bool:
    """Whether anybody on the internet could own this address."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_V4)
    return address in _GLOBAL_UNICAST_V6 and not any(
        address in network for network in _NOT_PUBLIC_V6
    )


def literal_address(host: str) -> Address | None:
    """Return the address that a host is in itself, without any look-up; None for a name.

    Takes the old IPv4 forms that the system's resolver takes (2130706433, 0x7f.1, 0177.0.0.1), and
    `localhost`, which is loopback by RFC 6761.
    """
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return IPv4Address("127.0.0.1")
    try:
        return ip_address(name)
    except ValueError:
        pass
    if not name or not set(name) <= set("0123456789abcdefx."):
        return None
    try:
        return IPv4Address(socket.inet_aton(name))
    except OSError:
        return None


def refusal(address: Address | str) -> str:
    """Say why an address is refused, and what an operator can do."""
    return (
        f"The address {address} is not public. To allow it, add its network to"
        " TOCSIN_NOTIFY_ALLOWED_NETWORKS."
    )


class Dialer:
    """Opens the connections of one attempt, and remembers what the guard refused.

    `refused` is the first address that was refused; `has_dialled` whether any was let through.
    """

    def __init__(self, allowed_networks: Iterable[Network]) -> None:
        self._allowed = tuple(allowed_networks)
        self.refused: Address | None = None
        self.has_dialled = False

    @property
    def is_refused(self) -> bool:
        """Whether there was an address, and none that may be dialled."""
        return self.refused is not None and not self.has_dialled

    def open_socket(self, addr_info: AddrInfo) -> socket.socket:
        """Make the socket for an address that is dialled next (aiohttp's socket_factory).

        Raises AddressRefusedError when it may not be.
        """
        family, kind, protocol, _, sockaddr = addr_info
        address = ip_address(sockaddr[0])
        if not is_allowed(address, self._allowed):
            self.refused = self.refused or address
            raise AddressRefusedError(refusal(address))
        self.has_dialled = True
        return socket.socket(family, kind, protocol)

    async def connect(self, host: str, port: int, names: Names) -> socket.socket:
        """Connect to the first address of a host that may be dialled and answers.

        Raises OSError: that of the look-up, or of the last address tried.
        """
        loop = asyncio.get_running_loop()
        last: OSError = OSError(f"{host} has no address")
        for addr_info in await names.addresses(host, port):
            try:
                return await self._connect(loop, addr_info)
            except OSError as error:
                last = error
        raise last

    async def _connect(self, loop: asyncio.AbstractEventLoop, addr_info: AddrInfo) -> socket.socket:
        opened = self.open_socket(addr_info)
        try:
            opened.setblocking(False)
            await loop.sock_connect(opened, addr_info[4])
        except BaseException:
            opened.close()
            raise
        return opened
