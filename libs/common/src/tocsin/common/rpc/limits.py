"""What a server takes from its callers: sizes, rates, and how long a connection lasts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

MAX_MESSAGE_BYTES = 4 << 20
PENDING_CALLS = 10_000
"""So many calls wait at most until they are begun, over all connections: some 12 KiB each."""


@dataclass(frozen=True, slots=True)
class RpcLimits:
    """Bounds of one server. A time or a number of zero means that there is no such bound.

    `message_bytes` bounds a request, `metadata_bytes` the headers of a call. A caller may begin
    `calls_per_second` on average and `call_burst` at once, and hold `streams_per_caller`;
    `streams_per_connection` calls are under way on one connection, and the next ones wait. A call
    that has ended counts until the event loop has let go of it. A client that begins another in its
    place meanwhile may be refused with UNAVAILABLE (RST_STREAM, REFUSED_STREAM): that is gRPC's
    guard against rapid resets, which would otherwise fill PENDING_CALLS for everybody.

    At most `connections` are open on one address; one more is closed as it comes. A connection that
    has made no HTTP/2 handshake within `handshake` is closed. It is pinged after a silence of
    `keepalive` and closed when no answer comes within `keepalive_timeout`; one that pings more
    often than `ping_interval` itself is closed too. After `connection_age` (± 10 %) a client is
    told to connect anew, and what is still under way `connection_age_grace` later ends with
    UNAVAILABLE; one without calls is closed after `connection_idle`.
    """

    message_bytes: int = MAX_MESSAGE_BYTES
    metadata_bytes: int = 8 << 10
    calls_per_second: float = 0
    call_burst: int = 0
    streams_per_caller: int = 0
    streams_per_connection: int = 0
    connections: int = 0
    handshake: timedelta = timedelta(seconds=20)
    keepalive: timedelta = timedelta(seconds=15)
    keepalive_timeout: timedelta = timedelta(seconds=10)
    ping_interval: timedelta = timedelta(seconds=10)
    connection_age: timedelta = timedelta()
    connection_age_grace: timedelta = timedelta()
    connection_idle: timedelta = timedelta()

    def options(self) -> list[tuple[str, int]]:
        """Return those that gRPC itself keeps, as options of a server.

        https://grpc.github.io/grpc/core/group__grpc__arg__keys.html
        """
        always = [
            ("grpc.max_receive_message_length", self.message_bytes),
            ("grpc.max_send_message_length", -1),
            # Both alike: between them gRPC would refuse at random.
            ("grpc.max_metadata_size", self.metadata_bytes),
            ("grpc.absolute_max_metadata_size", self.metadata_bytes),
            ("grpc.server_handshake_timeout_ms", _ms(self.handshake)),
            # Beyond it gRPC cancels calls, which no caller takes for "try again later".
            ("grpc.server.max_pending_requests", PENDING_CALLS),
            ("grpc.server.max_pending_requests_hard_limit", PENDING_CALLS),
            # A peer that fell silent is noticed, or it would block a write for ever.
            ("grpc.keepalive_time_ms", _ms(self.keepalive)),
            ("grpc.keepalive_timeout_ms", _ms(self.keepalive_timeout)),
            # The time above counts only if this is not longer; it would be a minute.
            ("grpc.http2.ping_timeout_ms", _ms(self.keepalive_timeout)),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.min_recv_ping_interval_without_data_ms", _ms(self.ping_interval)),
        ]
        if_bounded = [
            ("grpc.max_allowed_incoming_connections", self.connections),
            ("grpc.max_concurrent_streams", self.streams_per_connection),
            ("grpc.max_connection_age_ms", _ms(self.connection_age)),
            ("grpc.max_connection_idle_ms", _ms(self.connection_idle)),
        ]
        if self.connection_age:
            always.append(("grpc.max_connection_age_grace_ms", _ms(self.connection_age_grace)))
        return always + [(name, value) for name, value in if_bounded if value]


def _ms(time: timedelta) -> int:
    return round(time.total_seconds() * 1000)
