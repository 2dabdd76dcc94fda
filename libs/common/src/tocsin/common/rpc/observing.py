"""What is told of calls: an observer hears of each, the log of those that failed."""

from __future__ import annotations

from logging import DEBUG, INFO, WARNING, getLogger
from typing import TYPE_CHECKING, Any, Final, Protocol

import structlog

from tocsin.common.rpc.caller import peer_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tocsin.common.errors import TocsinError

    CallEnded = Callable[[str, float], None]
    Behaviour = Callable[[Any, Any], Awaitable[Any]]

_log = structlog.get_logger(__name__)

# Of these there may be as many as there are calls, and the metrics count them.
_QUIET: Final = frozenset({"RATE_LIMITED", "TOO_MANY_STREAMS", "OVERLOADED", "DRAINING"})
_OF_OURS: Final = frozenset({"UNAVAILABLE", "RESOURCE_EXHAUSTED", "DATA_LOSS", "INTERNAL"})
_NAMED: Final = ("request_id", "alert_id", "delivery_id", "channel_id", "host_id")
_SHOWN_CHARACTERS: Final = 128


class CallObserver(Protocol):
    """Hears of every call."""

    def of(self, method: str) -> CallEnded:
        """Return what is told the code and the seconds of each call of a method as it ends.

        Asked once for each method. What it returns must be quick and never raise.
        """
        ...


def tell_refusal(method: str, request: Any, error: TocsinError, code: str) -> None:
    """Log a call that failed, with what the request says of who and what it is about.

    As a warning when it is the server that could not, as information when it was asked wrongly.
    A call that only came at a bad time is told at DEBUG.
    """
    level = WARNING if code in _OF_OURS else INFO
    _log.log(
        DEBUG if error.reason in _QUIET else level,
        "call_refused",
        method=method,
        code=code,
        reason=error.reason,
        error=error.message,
        **named_in(request),
    )


def telling_all(method: str, behave: Behaviour) -> Behaviour:
    """Return a behaviour that logs each call that succeeds at DEBUG; the same one otherwise.

    Decided once for each method: who does not ask for it pays nothing.
    """
    if not getLogger().isEnabledFor(DEBUG):
        return behave

    async def told(request: Any, context: Any) -> Any:
        answer = await behave(request, context)
        named = {**named_in(getattr(answer, "alert", None)), **named_in(request)}
        _log.debug("call_done", method=method, actor=peer_of(context).actor, **named)
        return answer

    return told


def named_in(request: Any) -> dict[str, str]:
    """Return the ids that a request bears, as far as they are short enough to be ids."""
    found = {name: getattr(request, name, "") for name in _NAMED}
    return {
        name: value
        for name, value in found.items()
        if isinstance(value, str) and 0 < len(value) <= _SHOWN_CHARACTERS
    }
