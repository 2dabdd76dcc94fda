"""The outcome of a load, and the processes that make loads."""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_P = ParamSpec("_P")
_T = TypeVar("_T")

_BUSY = 0.9
_WORTH_TELLING = 0.5


class LoadError(Exception):
    """A load did not do what it was to do, so that its figure would mean nothing."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a load did: answers per second, and how long one took, in milliseconds.

    `client_cores` is how much of a core the busiest of the clients used.
    """

    rate: float
    p50: float
    p99: float
    client_cores: float


class Spent(NamedTuple):
    """What ran meanwhile, in cores: a server, and PostgreSQL beside it."""

    server: float
    postgres: float

    def cost(self, rate: float, of: str) -> Cost:
        """Return what that was for each of so many a second; `of` is what they are called."""
        return Cost(self, rate, of)


class Cost(NamedTuple):
    """What was spent on so many a second of what `of` names."""

    spent: Spent
    rate: float
    of: str

    def __str__(self) -> str:
        server, postgres = (cores / self.rate * 1e6 for cores in self.spent)
        said = f"{self.spent.server:.2f} of a core, {server:.0f} µs a {self.of}"
        return f"{said}; PostgreSQL {postgres:.0f} µs" if postgres >= _WORTH_TELLING else said

    def most(self, client: float, cores: int) -> float:
        """Return what so many cores did a second at this cost if none idled: at most that.

        `client` is what the client used, in cores.
        """
        return self.rate * cores / (sum(self.spent) + client)


def client_note(cores: float) -> str:
    """Say it when the client may be what limited a load."""
    return f"the client used {cores:.2f} of a core" if cores >= _BUSY else ""


def notes(*each: str) -> str:
    """Join what there is to note."""
    return "; ".join(note for note in each if note)


def _leave_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the one who started us ends us


class Clients:
    """Processes of their own, so that making a load does not stand in the way of measuring it."""

    def __init__(self, count: int) -> None:
        # Spawned: a fork would carry gRPC's threads along.
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(count, mp_context=context, initializer=_leave_ctrl_c)

    async def run(self, function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Call a function of a module in one of the processes."""
        return await asyncio.wrap_future(self._pool.submit(function, *args, **kwargs))

    def close(self) -> None:
        """End the processes."""
        self._pool.shutdown(cancel_futures=True)
