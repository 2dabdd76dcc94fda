from __future__ import annotations

from typing import Any, cast

import pytest

from tocsin.common.rpc.caller import Peer, peer_of

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Context:
    def __init__(self, *metadata: tuple[str, str | bytes]) -> None:
        self._metadata = metadata

    def invocation_metadata(self) -> tuple[tuple[str, str | bytes], ...]:
        return self._metadata


def peer(*metadata: tuple[str, str | bytes]) -> Peer:
    return peer_of(cast("Any", Context(*metadata)))


def test_a_caller_that_proves_nothing_is_anonymous() -> None:
    assert Peer("anonymous", "") == peer()


def test_the_trace_of_a_caller_is_known() -> None:
    assert Peer("anonymous", TRACE) == peer(("user-agent", "x"), ("traceparent", TRACE))


@pytest.mark.parametrize("value", ["", "00-xyz", TRACE + "-more", TRACE.upper(), b"bytes"])
def test_a_malformed_trace_is_none(value: str | bytes) -> None:
    assert Peer("anonymous", "") == peer(("traceparent", value))
