"""No proxy comes between the command and this machine."""

from __future__ import annotations

from tocsin.cli.proxies import sparing_loopback

LOOPBACK = "127.0.0.1,localhost,::1"


def test_the_loopback_addresses_are_reached_without_a_proxy() -> None:
    given = {"http_proxy": "http://proxy:3128"}
    assert {**given, "no_grpc_proxy": LOOPBACK} == sparing_loopback(given)


def test_what_was_spared_a_proxy_before_is_spared_still() -> None:
    told = sparing_loopback({"no_proxy": "example.org"})
    assert told["no_grpc_proxy"] == f"example.org,{LOOPBACK}"
    assert sparing_loopback({"no_grpc_proxy": "a", "no_proxy": "b"})["no_grpc_proxy"][:2] == "a,"
