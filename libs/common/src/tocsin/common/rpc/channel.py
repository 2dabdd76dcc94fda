"""The client's end: how Tocsin's own clients open a channel."""

from __future__ import annotations

import grpc

MAX_RESPONSE_BYTES = 64 << 20
KEEPALIVE_SECONDS = 30
KEEPALIVE_TIMEOUT_SECONDS = 10


def channel_options() -> list[tuple[str, int]]:
    """Return the options that fit the servers of `rpc.server`.

    A peer that fell silent is noticed within 40 s (the server allows one ping in 10 s; more would
    be refused). A lost server is looked for again after 0.1 s at first and every 5 s at most.
    It is called directly: gRPC would send even calls to this machine to the `http_proxy` of the
    environment.
    """
    return [
        ("grpc.keepalive_time_ms", KEEPALIVE_SECONDS * 1000),
        ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_SECONDS * 1000),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 1000),
        ("grpc.max_reconnect_backoff_ms", 5000),
        ("grpc.max_receive_message_length", MAX_RESPONSE_BYTES),
        ("grpc.enable_http_proxy", 0),
    ]


def open_channel(target: str) -> grpc.aio.Channel:
    """Open a channel to `host:port` for asyncio. It connects when it is first used."""
    return grpc.aio.insecure_channel(target, options=channel_options())


def open_sync_channel(target: str) -> grpc.Channel:
    """Open a channel to `host:port` for threads."""
    return grpc.insecure_channel(target, options=channel_options())
