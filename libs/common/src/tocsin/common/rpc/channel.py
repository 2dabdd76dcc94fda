"""The client's end: how Tocsin's own clients open a channel."""

from __future__ import annotations

from ipaddress import ip_address

import grpc

from tocsin.common.rpc.bearer import BearingAsyncChannel, BearingChannel
from tocsin.common.rpc.client_credentials import ClientCredentials
from tocsin.common.rpc.loopback import is_loopback
from tocsin.common.rpc.renewing import RenewingAsyncChannel, RenewingChannel

MAX_RESPONSE_BYTES = 64 << 20
KEEPALIVE_SECONDS = 15
KEEPALIVE_TIMEOUT_SECONDS = 10
NONE = ClientCredentials()

_ROUND_ROBIN = ("grpc.service_config", '{"loadBalancingConfig": [{"round_robin": {}}]}')


def channel_options() -> list[tuple[str, int]]:
    """Return the options that fit the servers of `rpc.server`.

    A peer that fell silent is noticed within 30 s (the server allows one ping in 10 s; more would
    be refused). A lost server is looked for again after 0.1 s at first and every 5 s at most.
    It is called directly: gRPC would send even calls to this machine to the `http_proxy` of the
    environment.
    """
    return [
        ("grpc.keepalive_time_ms", KEEPALIVE_SECONDS * 1000),
        ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_SECONDS * 1000),
        # The time above counts only if this is not longer; it would be a minute.
        ("grpc.http2.ping_timeout_ms", KEEPALIVE_TIMEOUT_SECONDS * 1000),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 1000),
        ("grpc.max_reconnect_backoff_ms", 5000),
        ("grpc.max_receive_message_length", MAX_RESPONSE_BYTES),
        ("grpc.enable_http_proxy", 0),
    ]


def balancing(target: str) -> list[tuple[str, str]]:
    """Return the options that spread calls over all servers that a name stands for.

    One stream stays with one server. Where the name stands for one, nothing changes; an address or
    this machine needs no more than one connection.
    """
    return [] if is_loopback(target) or _is_address(target) else [_ROUND_ROBIN]


def open_channel(target: str, credentials: ClientCredentials = NONE) -> grpc.aio.Channel:
    """Open a channel to `host:port` for asyncio. It connects when it is first used.

    Raises CredentialsError for credentials that cannot be used, or not with this target.
    """
    credentials.check(target)
    options = [*channel_options(), *balancing(target)]
    channel: grpc.aio.Channel
    if credentials.is_encrypted:
        channel = RenewingAsyncChannel(
            lambda: grpc.aio.secure_channel(target, credentials.tls(), options=options),
            credentials.tls_stamp,
        )
    else:
        channel = grpc.aio.insecure_channel(target, options=options)
    return BearingAsyncChannel(channel, credentials.header()) if credentials.has_token else channel


def open_sync_channel(target: str, credentials: ClientCredentials = NONE) -> grpc.Channel:
    """Open a channel to `host:port` for threads. Raises CredentialsError as `open_channel`."""
    credentials.check(target)
    options = [*channel_options(), *balancing(target)]
    channel: grpc.Channel
    if credentials.is_encrypted:
        channel = RenewingChannel(
            lambda: grpc.secure_channel(target, credentials.tls(), options=options),
            credentials.tls_stamp,
        )
    else:
        channel = grpc.insecure_channel(target, options=options)
    return BearingChannel(channel, credentials.header()) if credentials.has_token else channel


def _is_address(target: str) -> bool:
    try:
        ip_address(target.rpartition(":")[0].strip("[]"))
    except ValueError:
        return False
    return True
