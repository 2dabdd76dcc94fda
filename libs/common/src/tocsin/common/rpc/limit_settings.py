"""The limits of both services: these settings are a part of those of each."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field

from tocsin.common.config import ServiceSettings
from tocsin.common.rpc.limits import MAX_MESSAGE_BYTES, RpcLimits


class LimitSettings(ServiceSettings):
    """What is taken from callers. Callers that prove no identity, on loopback, have no rate."""

    max_message_bytes: int = Field(
        default=MAX_MESSAGE_BYTES,
        ge=64 << 10,
        le=64 << 20,
        description="The largest request, in bytes. A larger one is refused with "
        "RESOURCE_EXHAUSTED.",
    )
    max_metadata_bytes: int = Field(
        default=8 << 10,
        ge=4 << 10,
        le=1 << 20,
        description="How large the headers of a call may be, in bytes. Larger ones are refused "
        "with RESOURCE_EXHAUSTED.",
    )
    max_calls_per_second: float = Field(
        default=5_000,
        ge=0,
        le=1_000_000,
        description="How many calls one caller may begin in a second, on average. Beyond it they "
        "are refused with RESOURCE_EXHAUSTED (RATE_LIMITED) and told when to come back. A batch is "
        "one call. 0 means any number. It does not count for callers of this machine that prove no "
        "identity.",
    )
    max_call_burst: int = Field(
        default=10_000,
        ge=1,
        le=1_000_000,
        description="How many calls one caller may begin at once after a rest.",
    )
    max_streams_per_caller: int = Field(
        default=100,
        ge=0,
        le=1_000_000,
        description="How many streams (WatchEvents, Heartbeats, reflection) one caller may hold, "
        "and one address of health (Watch). Beyond it they are refused with RESOURCE_EXHAUSTED "
        "(TOO_MANY_STREAMS). 0 means any number. It does not count for callers of this machine "
        "that prove no identity.",
    )
    max_streams_per_connection: int = Field(
        default=250,
        ge=0,
        le=1_000_000,
        description="How many calls are under way on one connection, streams included. More wait "
        "at the client's end. One that was answered or given up counts until the server has let go "
        "of it: on a connection near the limit, and where many calls are given up, some are "
        "refused with UNAVAILABLE before anything was done. Tocsin's own clients try again. 0 "
        "means any number.",
    )
    max_connections: int = Field(
        default=5_000,
        ge=0,
        le=1_000_000,
        description="How many connections are open at one time on one address of one process, also "
        "of those that prove nothing. One more is closed as it comes, and clients try again. Each "
        "takes an open file and some 25 to 50 KiB of memory. 0 means any number.",
    )
    handshake_seconds: float = Field(
        default=20,
        ge=1,
        le=300,
        description="How long a connection may take to begin: TLS and HTTP/2 together. Then it is "
        "closed.",
    )
    keepalive_seconds: float = Field(
        default=15,
        ge=1,
        le=7_200,
        description="After how long without a word a connection is asked whether it lives.",
    )
    keepalive_timeout_seconds: float = Field(
        default=10,
        ge=1,
        le=300,
        description="How long that question may stay unanswered before the connection is closed. "
        "With 15 and 10 seconds a peer that vanished without a word is noticed within 30.",
    )
    least_ping_seconds: float = Field(
        default=10,
        ge=0,
        le=7_200,
        description="How often a client may ask at most. One that asks more often is cut off "
        "(ENHANCE_YOUR_CALM). Tocsin's own clients ask every 15 seconds.",
    )
    max_connection_age_seconds: float = Field(
        default=3_600,
        ge=0,
        le=604_800,
        description="After how long (± 10 %) a client is told to connect anew, so that calls find "
        "their way to new servers; streams are resumed. 0 means never.",
    )
    max_connection_age_grace_seconds: float = Field(
        default=60,
        ge=0.1,
        le=86_400,
        description="How long calls that were under way at that time may go on. Then they end with "
        "UNAVAILABLE.",
    )
    max_connection_idle_seconds: float = Field(
        default=0,
        ge=0,
        le=604_800,
        description="After how long without any call a connection is closed. 0 means never.",
    )

    @property
    def limits(self) -> RpcLimits:
        """All of them as a server takes them."""
        return RpcLimits(
            message_bytes=self.max_message_bytes,
            metadata_bytes=self.max_metadata_bytes,
            calls_per_second=self.max_calls_per_second,
            call_burst=self.max_call_burst,
            streams_per_caller=self.max_streams_per_caller,
            streams_per_connection=self.max_streams_per_connection,
            connections=self.max_connections,
            handshake=timedelta(seconds=self.handshake_seconds),
            keepalive=timedelta(seconds=self.keepalive_seconds),
            keepalive_timeout=timedelta(seconds=self.keepalive_timeout_seconds),
            ping_interval=timedelta(seconds=self.least_ping_seconds),
            connection_age=timedelta(seconds=self.max_connection_age_seconds),
            connection_age_grace=timedelta(seconds=self.max_connection_age_grace_seconds),
            connection_idle=timedelta(seconds=self.max_connection_idle_seconds),
        )
