"""Several callers at once on one key, by the wire: what each asked, was answered, and when."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import grpc

from support.key_model import Answer, Asked, Did, Status, Verb, View
from support.linearizability import NEVER, Call
from tocsin.api.alert.v1 import alert_pb2
from tocsin.api.alert.v1 import alert_service_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tocsin.api.alert.v1.alert_service_pb2_grpc import AlertServiceAsyncStub

KIND = "backup_failed"
# Far enough behind the server's clock that no time is ahead of it.
_START = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2)
_VERBS = {
    Verb.RAISE: 8,
    Verb.CLEAR: 5,
    Verb.ACKNOWLEDGE: 4,
    Verb.RESOLVE: 2,
    Verb.GET: 3,
    Verb.LIST: 3,
}
_LOOKS = {Verb.GET, Verb.LIST}
_NEEDS_ALERT = {Verb.ACKNOWLEDGE, Verb.RESOLVE, Verb.GET}
_PATIENCE_SECONDS = 5.0
_GIVEN_UP_SHARE = 0.1
"""Of the calls, that are cancelled while they are under way."""
_GIVEN_UP_SECONDS = 0.03
_REPEATED_SHARE = 0.6
"""Of the calls that were not answered, that are made again until they are, as the same request."""
_PAUSE_SECONDS = 0.05

# After these nobody knows whether a call was carried out.
_LOST = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
}
_STATUSES = {
    alert_pb2.ALERT_STATUS_OPEN: Status.OPEN,
    alert_pb2.ALERT_STATUS_ACKNOWLEDGED: Status.ACKNOWLEDGED,
    alert_pb2.ALERT_STATUS_RESOLVED: Status.RESOLVED,
}
_RAISES = {
    pb.RAISE_OUTCOME_RAISED: Did.RAISED,
    pb.RAISE_OUTCOME_TOUCHED: Did.TOUCHED,
    pb.RAISE_OUTCOME_STALE: Did.STALE,
}
_CLEARS = {
    pb.CLEAR_OUTCOME_RESOLVED: Did.RESOLVED,
    pb.CLEAR_OUTCOME_NOTHING_OPEN: Did.NOTHING_OPEN,
    pb.CLEAR_OUTCOME_STALE: Did.STALE,
}


@dataclass(frozen=True, slots=True)
class Taken:
    """One call as it was made: for the checker, and until when its caller waited."""

    call: Call[Asked]
    waited_until: float
    was_cancelled: bool = False

    def was_under_way_at(self, moments: Iterable[float]) -> bool:
        return any(self.call.began <= moment <= self.waited_until for moment in moments)


class KeyHistory:
    """One history, on a key of its own. Its seed fixes what is called, but not what meets what."""

    def __init__(self, seed: int, number: int, replicas: Sequence[AlertServiceAsyncStub]) -> None:
        self.number = number
        self.taken: list[Taken] = []
        self._seed = seed
        self._random = random.Random(f"{seed}/{number}")
        self._host = f"host-{seed}-{number}"
        self._replicas = replicas
        self._alert_ids: list[str] = []
        self._tick = 100
        self._requests = 0

    @property
    def calls(self) -> list[Call[Asked]]:
        return [each.call for each in self.taken]

    async def run(self) -> None:
        """Let some callers call, and look at what stands in the end."""
        callers = self._random.choice((2, 3, 3, 4))
        await asyncio.gather(*(self._caller() for _ in range(callers)))
        await self._until_answered(Asked(Verb.LIST))
        for alert_id in self._alert_ids:
            await self._until_answered(Asked(Verb.GET, alert_id=alert_id))

    def told(self) -> str:
        """The history in words, for who must find out what went wrong."""
        lines = [f"history {self.number} of seed {self._seed}, {self._host}:"]
        start = min((each.call.began for each in self.taken), default=0.0)
        for each in sorted(self.taken, key=lambda taken: taken.call.began):
            asked, ended = each.call.operation, each.call.ended
            end = "never answered" if ended == NEVER else f"{(ended - start) * 1000:8.2f}"
            lines.append(f"  {(each.call.began - start) * 1000:8.2f} to {end} ms: {asked}")
        return "\n".join(lines)

    async def _caller(self) -> None:
        for _ in range(self._random.choice((2, 3, 4, 5))):
            await self._make(self._next(), is_cancelled=self._random.random() < _GIVEN_UP_SHARE)

    def _next(self) -> Asked:
        [verb] = self._random.choices(list(_VERBS), weights=list(_VERBS.values()))
        if verb in _NEEDS_ALERT and not self._alert_ids:
            verb = Verb.RAISE
        self._tick += self._random.choice((0, 1, 1, 2))
        tick = self._tick - self._random.choice((0, 0, 0, 1, 2, 4))
        severity = self._random.choice((2, 2, 2, 3))
        # Mostly of the latest: those before it are long over.
        latest = self._alert_ids[-1:] if self._random.random() < 0.8 else self._alert_ids
        alert_id = self._random.choice(latest) if verb in _NEEDS_ALERT else ""
        return Asked(verb, tick, severity, alert_id)

    async def _until_answered(self, asked: Asked) -> None:
        while not await self._make(asked, is_cancelled=False):  # noqa: ASYNC110 - there is no signal
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _make(self, asked: Asked, *, is_cancelled: bool) -> bool:
        """Make a call, perhaps again and again, and note it; return whether it was answered."""
        self._requests += 1
        request = self._request(asked, f"{self._host}-{self._requests}")
        is_repeated = asked.verb not in _LOOKS and self._random.random() < _REPEATED_SHARE
        began = time.monotonic()
        given_up = self._random.uniform(0, _GIVEN_UP_SECONDS) if is_cancelled else None
        answer = await self._attempt(asked, request, given_up)
        was_cancelled = is_cancelled and answer is None
        while answer is None and is_repeated:
            await asyncio.sleep(_PAUSE_SECONDS)
            answer = await self._attempt(asked, request)
        now = time.monotonic()
        if answer is not None or asked.verb not in _LOOKS:
            ended = NEVER if answer is None else now
            call = Call(replace(asked, answer=answer), began, ended)
            self.taken.append(Taken(call, now, was_cancelled))
        if answer is not None and answer.alert is not None:
            self._meet(answer.alert.alert_id)
        return answer is not None

    def _meet(self, alert_id: str) -> None:
        if alert_id not in self._alert_ids:
            self._alert_ids.append(alert_id)

    async def _attempt(
        self, asked: Asked, request: Any, given_up: float | None = None
    ) -> Answer | None:
        """Call once, and give up after so many seconds; None when the answer was lost.

        Raises what the contract knows nothing of.
        """
        stub = self._random.choice(self._replicas)
        call = getattr(stub, _METHODS[asked.verb])(request, timeout=_PATIENCE_SECONDS)
        if given_up is not None:
            asyncio.get_running_loop().call_later(given_up, call.cancel)
        try:
            return _answer(asked.verb, await call)
        except asyncio.CancelledError:
            if not call.cancelled():
                raise
            return None
        except grpc.aio.AioRpcError as error:
            if error.code() in _LOST:
                return None
            is_refusal = error.code() is grpc.StatusCode.FAILED_PRECONDITION
            if is_refusal and asked.verb is Verb.ACKNOWLEDGE:
                return Answer(Did.REFUSED)
            raise

    def _request(self, asked: Asked, request_id: str) -> Any:
        observed = _START + timedelta(seconds=asked.tick)
        match asked.verb:
            case Verb.RAISE:
                raising = pb.RaiseOrTouchRequest(host_id=self._host, kind=KIND)
                raising.severity = asked.severity  # type: ignore[assignment]  # its number
                raising.observe_time.FromDatetime(observed)
                raising.request_id = request_id
                return raising
            case Verb.CLEAR:
                clearing = pb.AutoResolveRequest(host_id=self._host, kind=KIND)
                clearing.observe_time.FromDatetime(observed)
                clearing.request_id = request_id
                return clearing
            case Verb.ACKNOWLEDGE:
                return pb.AcknowledgeRequest(alert_id=asked.alert_id, request_id=request_id)
            case Verb.RESOLVE:
                return pb.ResolveRequest(alert_id=asked.alert_id, request_id=request_id)
            case Verb.GET:
                return pb.GetAlertRequest(alert_id=asked.alert_id)
            case Verb.LIST:
                return pb.ListAlertsRequest(host_ids=[self._host])


_METHODS = {
    Verb.RAISE: "RaiseOrTouch",
    Verb.CLEAR: "AutoResolve",
    Verb.ACKNOWLEDGE: "Acknowledge",
    Verb.RESOLVE: "Resolve",
    Verb.GET: "GetAlert",
    Verb.LIST: "ListAlerts",
}


def _answer(verb: Verb, response: Any) -> Answer:
    match verb:
        case Verb.RAISE:
            return Answer(_RAISES[response.outcome], _view_in(response))
        case Verb.CLEAR:
            return Answer(_CLEARS[response.outcome], _view_in(response))
        case Verb.GET:
            return Answer(Did.SEEN, _view(response.alert))
        case Verb.LIST:
            assert len(response.alerts) <= 1, f"two alerts stand on one key: {response.alerts}"
            return Answer(Did.SEEN, _view(response.alerts[0]) if response.alerts else None)
        case _:
            did = Did.CHANGED if response.changed else Did.UNCHANGED
            return Answer(did, _view_in(response))


def _view_in(response: Any) -> View | None:
    return _view(response.alert) if response.HasField("alert") else None


def _view(alert: alert_pb2.Alert) -> View:
    return View(
        alert.alert_id, _STATUSES[alert.status], alert.severity, alert.occurrences, alert.version
    )
