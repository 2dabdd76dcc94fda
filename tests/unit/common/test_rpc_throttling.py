"""How much one caller may ask for, counted with a clock that a test turns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tocsin.api.alert.v1.alert_service_pb2  # noqa: F401 - describes the methods
from tocsin.common.errors import (
    PermissionDeniedError,
    ResourceExhaustedError,
    TocsinError,
    UnauthenticatedError,
)
from tocsin.common.rpc import throttling
from tocsin.common.rpc.caller import ANONYMOUS, Peer
from tocsin.common.rpc.limits import RpcLimits
from tocsin.common.rpc.throttling import Rates, ThrottledAdmission, address_of, is_stream

if TYPE_CHECKING:
    from collections.abc import Callable

RAISE = "/tocsin.api.alert.v1.AlertService/RaiseOrTouch"
WATCH = "/tocsin.api.alert.v1.AlertService/WatchEvents"
HERE = "ipv4:127.0.0.1:4242"
ELSEWHERE = "ipv4:192.0.2.7:4242"


class Time:
    """A clock that stands still."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Call:
    """A call as the transport shows it."""

    def __init__(self, peer: str = HERE) -> None:
        self._peer = peer
        self._callbacks: list[Callable[[Any], None]] = []

    def peer(self) -> str:
        return self._peer

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        self._callbacks.append(callback)

    def end(self) -> None:
        for callback in self._callbacks:
            callback(self)


class AsNamed:
    """Admits everybody under one name."""

    def __init__(self, actor: str) -> None:
        self.actor = actor

    def check_of(self, method: str) -> Callable[[Any], Peer]:
        return lambda context: Peer(self.actor, "")


class Refusing:
    """Admits nobody."""

    def __init__(self, error: TocsinError) -> None:
        self.error = error

    def check_of(self, method: str) -> Callable[[Any], Peer]:
        def refuse(context: Any) -> Peer:
            raise self.error

        return refuse


def taken(rates: Rates, caller: str, calls: int) -> int:
    """Make so many calls, and return how many were taken."""
    return sum(1 for _ in range(calls) if refusal(lambda: rates.take(caller)) is None)


def refusal(call: Callable[[], object]) -> ResourceExhaustedError | None:
    try:
        call()
    except ResourceExhaustedError as error:
        return error
    return None


def admitting(actor: str, method: str = RAISE, **limits: Any) -> tuple[Callable[..., Peer], Time]:
    time = Time()
    admission = ThrottledAdmission(AsNamed(actor), RpcLimits(**limits), time)
    return admission.check_of(method), time


def reasons(error: TocsinError) -> Callable[[str, int], list[str]]:
    """Return what calls so many times from somewhere, where nobody is admitted."""
    limits = RpcLimits(calls_per_second=10, call_burst=20)
    check = ThrottledAdmission(Refusing(error), limits, Time()).check_of(RAISE)

    def ask(peer: str, calls: int) -> list[str]:
        found = list[str]()
        for _ in range(calls):
            with pytest.raises(TocsinError) as told:
                check(cast("Any", Call(peer)))
            found.append(told.value.reason)
        return found

    return ask


def test_who_proves_nothing_is_counted_by_address_and_takes_nothing_from_others() -> None:
    ask = reasons(UnauthenticatedError("not known here", reason="TOKEN_INVALID"))

    assert ["TOKEN_INVALID"] * 20 + ["RATE_LIMITED"] * 5 == ask(ELSEWHERE, 25)
    assert ["TOKEN_INVALID"] == ask("ipv4:192.0.2.8:4242", 1)
    assert ["TOKEN_INVALID"] * 25 == ask(HERE, 25)


def test_who_asks_for_what_is_not_allowed_is_counted_under_its_name() -> None:
    named = {"actor": "restic"}
    ask = reasons(PermissionDeniedError("no role", reason="ROLE_MISSING", metadata=named))

    assert ["ROLE_MISSING"] * 20 + ["RATE_LIMITED"] * 5 == ask(HERE, 25)


def test_a_burst_is_taken_and_then_what_flows_back() -> None:
    time = Time()
    rates = Rates(10, 20, time)

    assert 20 == taken(rates, "restic", 50)
    time.now += 0.5
    assert 5 == taken(rates, "restic", 50)
    time.now += 3600
    assert 20 == taken(rates, "restic", 50)


def test_one_caller_takes_nothing_from_another() -> None:
    rates = Rates(10, 20, Time())

    assert 20 == taken(rates, "restic", 50)
    assert 20 == taken(rates, "borg", 50)


@given(
    burst=st.integers(1, 50),
    per_second=st.sampled_from([0.5, 1.0, 7.0, 1000.0]),
    pauses=st.lists(st.floats(0, 5), max_size=60),
)
def test_never_more_than_the_burst_and_what_time_gives(
    burst: int, per_second: float, pauses: list[float]
) -> None:
    time = Time()
    rates, begin, calls = Rates(per_second, burst, time), time.now, 0
    for pause in pauses:
        time.now += pause
        calls += taken(rates, "restic", 3)
        assert calls <= burst + (time.now - begin) * per_second + 0.01


@given(burst=st.integers(1, 50), per_second=st.sampled_from([0.5, 1.0, 7.0, 1000.0]))
def test_whoever_comes_back_when_told_is_taken(burst: int, per_second: float) -> None:
    time = Time()
    rates = Rates(per_second, burst, time)
    taken(rates, "restic", burst)
    refused = refusal(lambda: rates.take("restic"))

    assert refused is not None
    assert refused.retry_after is not None
    time.now += refused.retry_after.total_seconds()
    assert 1 == taken(rates, "restic", 2)


def test_callers_are_forgotten_before_they_fill_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(throttling, "MOST_REMEMBERED", 100)
    rates = Rates(1, 2, Time())
    for number in range(1000):
        rates.take(f"caller {number}")

    assert len(rates._full_at) <= 100


def test_a_named_caller_is_counted_wherever_it_calls_from() -> None:
    admit, _ = admitting("restic", calls_per_second=1, call_burst=2)
    admit(Call(HERE))
    admit(Call(ELSEWHERE))

    refused = refusal(lambda: admit(Call("unix:")))
    assert refused is not None
    assert "RATE_LIMITED" == refused.reason


def test_a_nameless_caller_is_counted_by_its_address() -> None:
    admit, _ = admitting(ANONYMOUS, calls_per_second=1, call_burst=1)
    admit(Call("ipv4:192.0.2.7:1"))

    assert refusal(lambda: admit(Call("ipv4:192.0.2.7:2")))
    assert not refusal(lambda: admit(Call("ipv4:192.0.2.8:1")))


@pytest.mark.parametrize("peer", [HERE, "ipv6:%5B::1%5D:4242", "unix:"])
def test_nameless_callers_of_this_machine_are_not_counted(peer: str) -> None:
    admit, _ = admitting(ANONYMOUS, calls_per_second=1, call_burst=1)
    for _ in range(10):
        admit(Call(peer))


def test_health_is_always_told() -> None:
    admit, _ = admitting("prober", "/grpc.health.v1.Health/Check", calls_per_second=1, call_burst=1)
    for _ in range(10):
        admit(Call())


def test_a_caller_holds_so_many_streams_and_another_once_one_has_ended() -> None:
    admit, _ = admitting("notify", WATCH, streams_per_caller=2)
    first = Call()
    admit(first)
    admit(Call())
    refused = refusal(lambda: admit(Call()))
    assert refused is not None
    assert "TOO_MANY_STREAMS" == refused.reason

    first.end()
    admit(Call())
    assert refusal(lambda: admit(Call()))


def test_other_calls_are_no_streams() -> None:
    admit, _ = admitting("notify", RAISE, streams_per_caller=1)
    for _ in range(5):
        admit(Call())


def test_without_limits_nothing_stands_around_a_call() -> None:
    inner = AsNamed("restic")
    seen: list[str] = []
    inner.check_of = lambda method: seen.append(method) or "the check itself"  # type: ignore[assignment,return-value,func-returns-value]  # a stand-in
    admission = ThrottledAdmission(inner, RpcLimits())

    assert "the check itself" == admission.check_of(RAISE)  # type: ignore[comparison-overlap]  # a stand-in
    assert [RAISE] == seen


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("ipv4:192.0.2.7:4242", "192.0.2.7"),
        ("ipv6:%5B2001:db8::7%5D:4242", "2001:db8::7"),
        ("ipv4:127.8.9.1:1", None),
        ("unix:/run/tocsin.sock", None),
    ],
)
def test_an_address_is_read_from_the_name_of_a_peer(peer: str, address: str | None) -> None:
    assert address == address_of(peer)


def test_streams_are_known_by_their_description() -> None:
    assert is_stream(WATCH)
    assert not is_stream(RAISE)
    assert not is_stream("/no.such.Service/Method")
