from __future__ import annotations

from dataclasses import fields
from datetime import timedelta

import pytest

from tocsin.common.config import setting_rows
from tocsin.common.rpc.limit_settings import LimitSettings
from tocsin.common.rpc.limits import RpcLimits


def test_every_limit_has_a_setting_of_its_own() -> None:
    assert len(fields(RpcLimits)) == len(setting_rows(LimitSettings))


@pytest.mark.parametrize(
    ("setting", "value", "limit", "expected"),
    [
        ("max_message_bytes", 70_000, "message_bytes", 70_000),
        ("max_metadata_bytes", 5_000, "metadata_bytes", 5_000),
        ("max_calls_per_second", 7, "calls_per_second", 7),
        ("max_call_burst", 9, "call_burst", 9),
        ("max_streams_per_caller", 3, "streams_per_caller", 3),
        ("max_streams_per_connection", 4, "streams_per_connection", 4),
        ("max_connections", 5, "connections", 5),
        ("handshake_seconds", 2, "handshake", timedelta(seconds=2)),
        ("keepalive_seconds", 11, "keepalive", timedelta(seconds=11)),
        ("keepalive_timeout_seconds", 5, "keepalive_timeout", timedelta(seconds=5)),
        ("least_ping_seconds", 6, "ping_interval", timedelta(seconds=6)),
        ("max_connection_age_seconds", 60, "connection_age", timedelta(minutes=1)),
        ("max_connection_age_grace_seconds", 8, "connection_age_grace", timedelta(seconds=8)),
        ("max_connection_idle_seconds", 12, "connection_idle", timedelta(seconds=12)),
    ],
)
def test_a_setting_changes_its_limit_and_no_other(
    setting: str, value: float, limit: str, expected: object
) -> None:
    before = LimitSettings().limits
    after = LimitSettings.model_validate({setting: value}).limits
    names = [each.name for each in fields(after)]
    changed = {name for name in names if getattr(before, name) != getattr(after, name)}

    assert {limit} == changed
    assert expected == getattr(after, limit)


def test_what_is_not_bounded_is_left_to_grpc() -> None:
    bounded = {
        "grpc.max_allowed_incoming_connections",
        "grpc.max_concurrent_streams",
        "grpc.max_connection_age_ms",
    }

    assert set() == bounded & dict(RpcLimits().options()).keys()
    assert "grpc.max_connection_age_grace_ms" in dict(
        RpcLimits(connection_age=timedelta(hours=1)).options()
    )


def test_the_clients_of_tocsin_ask_no_more_often_than_the_server_allows() -> None:
    from tocsin.common.rpc.channel import KEEPALIVE_SECONDS

    assert timedelta(seconds=KEEPALIVE_SECONDS) > LimitSettings().limits.ping_interval


def test_a_peer_that_died_without_a_word_is_noticed_within_half_a_minute_at_either_end() -> None:
    from tocsin.common.rpc.channel import KEEPALIVE_SECONDS, KEEPALIVE_TIMEOUT_SECONDS

    limits = LimitSettings().limits
    assert limits.keepalive + limits.keepalive_timeout < timedelta(seconds=30)
    assert KEEPALIVE_SECONDS + KEEPALIVE_TIMEOUT_SECONDS < 30
