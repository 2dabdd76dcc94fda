"""What tests observe: short ways to say that something failed or worked."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from support.clock import START
from tocsin.alert.domain.alert import Severity
from tocsin.alert.domain.key import Key
from tocsin.alert.domain.observation import Caller, Failure, Success
from tocsin.alert.engine.transitions import HostFacts

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY = Key("host-a", "backup_failed", "group-1")
ORCHESTRATOR = Caller("orchestrator", traceparent="00-trace-span-01")
ANN = Caller("ann", on_behalf_of="the night shift")
BOB = Caller("bob")
ALPHA = HostFacts("Alpha")


def at(minutes: float) -> datetime:
    """Return a time so many minutes after (or before) the tests' clock starts."""
    return START + timedelta(minutes=minutes)


def failure(
    minutes: float = 0,
    *,
    key: Key = KEY,
    severity: Severity = Severity.WARNING,
    message: str = "it failed",
    cause: str = "",
    labels: Mapping[str, str] | None = None,
) -> Failure:
    """Return a failure observed so many minutes after the start."""
    return Failure(key, at(minutes), severity, message, cause, labels or {})


def success(minutes: float = 0, *, key: Key = KEY, message: str = "") -> Success:
    """Return a success observed so many minutes after the start."""
    return Success(key, at(minutes), message)
