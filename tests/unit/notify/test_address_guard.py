"""Which addresses may be dialled."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.notify.channels.address_guard import (
    AddressRefusedError,
    Dialer,
    is_allowed,
    literal_address,
)

v4 = st.ip_addresses(v=4)
v6 = st.ip_addresses(v=6)


@pytest.mark.parametrize(
    "text",
    [
        "8.8.8.8",
        "1.1.1.1",
        "100.63.255.255",
        "100.128.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.1",
        "223.255.255.255",
        "2606:4700:4700::1111",
        "2a00:1450:4001:80b::200e",
        "2001:4860:4860::8888",
        "::ffff:8.8.8.8",
    ],
)
def test_public_addresses_may_be_dialled(text: str) -> None:
    assert is_allowed(ip_address(text))


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("10.0.0.1", "private"),
        ("172.16.0.1", "private"),
        ("172.31.255.255", "private"),
        ("192.168.0.1", "private"),
        ("fd00:ec2::254", "private, the metadata service of a cloud"),
        ("127.0.0.1", "loopback"),
        ("127.255.255.255", "loopback"),
        ("::1", "loopback"),
        ("169.254.169.254", "link-local, the metadata service of most clouds"),
        ("fe80::1", "link-local"),
        ("fe80::1%1", "link-local with a zone"),
        ("fec0::1", "site-local"),
        ("224.0.0.1", "multicast"),
        ("239.255.255.255", "multicast"),
        ("ff02::1", "multicast"),
        ("ff0e::1", "multicast of global scope"),
        ("0.0.0.0", "unspecified"),
        ("0.1.2.3", "this network"),
        ("::", "unspecified"),
        ("240.0.0.1", "reserved"),
        ("255.255.255.255", "broadcast"),
        ("100.64.0.1", "shared by carriers"),
        ("100.100.100.200", "shared by carriers, the metadata service of a cloud"),
        ("168.63.129.16", "the platform endpoint of a cloud"),
        ("192.0.0.9", "assigned to protocols"),
        ("192.0.2.1", "documentation"),
        ("198.51.100.1", "documentation"),
        ("203.0.113.1", "documentation"),
        ("2001:db8::1", "documentation"),
        ("3fff::1", "documentation"),
        ("198.18.0.1", "benchmarks"),
        ("192.88.99.1", "6to4 relays"),
        ("2002:7f00:1::", "6to4 of 127.0.0.1"),
        ("2002:808:808::1", "6to4 of 8.8.8.8"),
        ("64:ff9b::7f00:1", "NAT64 of 127.0.0.1"),
        ("64:ff9b::808:808", "NAT64 of 8.8.8.8"),
        ("64:ff9b:1::a00:1", "local NAT64 of 10.0.0.1"),
        ("2001:0:808:808::1", "Teredo"),
        ("2001:10::1", "ORCHID"),
        ("::ffff:127.0.0.1", "127.0.0.1 mapped"),
        ("::ffff:169.254.169.254", "169.254.169.254 mapped"),
        ("::ffff:0:127.0.0.1", "127.0.0.1 translated"),
        ("::7f00:1", "127.0.0.1 in compatible form"),
        ("::808:808", "8.8.8.8 in compatible form"),
        ("100::1", "discarded"),
        ("5f00::1", "segment routing"),
    ],
)
def test_no_other_address_may_be_dialled(text: str, what: str) -> None:
    assert not is_allowed(ip_address(text)), what


@given(st.one_of(v4, v6))
def test_what_python_calls_private_or_multicast_is_never_dialled(
    address: IPv4Address | IPv6Address,
) -> None:
    reached = getattr(address, "ipv4_mapped", None) or address
    if not reached.is_global or reached.is_multicast or reached.is_reserved:
        assert not is_allowed(address)


@given(v4)
def test_a_mapped_address_is_judged_as_the_one_that_it_reaches(address: IPv4Address) -> None:
    assert is_allowed(address) == is_allowed(IPv6Address(f"::ffff:{address}"))


@given(v4)
def test_no_ipv4_address_gets_through_inside_of_an_ipv6_address(address: IPv4Address) -> None:
    number = int(address)
    carriers = [
        IPv6Address(number),
        IPv6Address((0x64FF9B << 96) | number),
        IPv6Address((0x64FF9B0001 << 80) | number),
        IPv6Address((0x2002 << 112) | (number << 80)),
        IPv6Address((0x20010000 << 96) | (number ^ 0xFFFFFFFF)),
    ]

    assert [False] * len(carriers) == [is_allowed(carrier) for carrier in carriers]


@given(st.one_of(v4, v6))
def test_an_allowed_network_allows_its_addresses(address: IPv4Address | IPv6Address) -> None:
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return

    assert is_allowed(address, [ip_network(address)])


@given(st.one_of(v4, v6))
def test_an_allowed_network_allows_no_other_address(address: IPv4Address | IPv6Address) -> None:
    network = ip_network("127.0.0.0/8")
    mapped = getattr(address, "ipv4_mapped", None)
    if (mapped or address) not in network:
        assert is_allowed(address) == is_allowed(address, [network])


def test_an_allowed_network_counts_for_mapped_addresses_too() -> None:
    assert is_allowed(ip_address("::ffff:127.0.0.1"), [ip_network("127.0.0.0/8")])


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.1.", "127.0.0.1"),
        ("[::1]", "::1"),
        ("::1", "::1"),
        ("2130706433", "127.0.0.1"),
        ("0x7f.1", "127.0.0.1"),
        ("0X7F000001", "127.0.0.1"),
        ("0177.0.0.1", "127.0.0.1"),
        ("127.1", "127.0.0.1"),
        ("localhost", "127.0.0.1"),
        ("LOCALHOST.", "127.0.0.1"),
        ("a.localhost", "127.0.0.1"),
    ],
)
def test_a_host_that_is_an_address_in_any_form_is_read_as_it(host: str, expected: str) -> None:
    assert ip_address(expected) == literal_address(host)


@pytest.mark.parametrize("host", ["example.com", "abc.de", "localhost.example.com", "", "...", "x"])
def test_a_name_is_no_address(host: str) -> None:
    assert literal_address(host) is None


def addr_info(address: str) -> tuple[int, int, int, str, tuple[str, int]]:
    return (socket.AF_INET, socket.SOCK_STREAM, 0, "", (address, 80))


def test_a_dialer_makes_no_socket_for_a_refused_address() -> None:
    dialer = Dialer(())

    with pytest.raises(AddressRefusedError, match="is not public"):
        dialer.open_socket(addr_info("10.0.0.1"))

    assert dialer.is_refused


def test_a_host_with_one_address_that_may_be_dialled_is_not_refused() -> None:
    dialer = Dialer(())
    with pytest.raises(AddressRefusedError):
        dialer.open_socket(addr_info("10.0.0.1"))

    dialer.open_socket(addr_info("8.8.8.8")).close()

    assert not dialer.is_refused
