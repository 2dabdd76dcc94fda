"""What the services' commands have in common: how they tell what is wrong, and how they serve."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from tocsin.common.config import ConfigError
from tocsin.common.errors import TocsinError
from tocsin.common.postgres.reachable import UnreachableError
from tocsin.common.postgres.revisions import MigrationError
from tocsin.common.rpc.listening import ListenError
from tocsin.common.workers import WorkersError

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

FAILED: Final = 1
BAD_SETTINGS: Final = 2

_GARBAGE = (10_000, 10, 50)

# From glibc's malloc.h: https://man7.org/linux/man-pages/man3/mallopt.3.html
_M_ARENA_MAX = -8
_ARENAS = 2


@contextmanager
def problems_told(program: str) -> Iterator[None]:
    """Tell what an operator can mend on stderr, a line for each problem.

    Raises SystemExit: BAD_SETTINGS for settings, FAILED for the rest (a database that does not
    answer, a port that is taken). Any other exception is a bug and passes through.
    """
    try:
        yield
    except ConfigError as error:
        _tell(program, *error.problems)
        raise SystemExit(BAD_SETTINGS) from None
    except (UnreachableError, MigrationError, ListenError, WorkersError) as error:
        _tell(program, str(error))
        raise SystemExit(FAILED) from None
    except TocsinError as error:
        _tell(program, error.message)
        raise SystemExit(FAILED) from None


def collect_garbage_seldom() -> None:
    """Take the pauses out of serving. Call it when all is loaded, before the first call.

    What is loaded is never garbage and is looked at no more; and a call leaves few cycles, so it
    is enough to look for them every 10,000 objects (Python: 700 to 2,000). Measured with 64
    calls of RaiseOrTouch in flight: the 99th percentile falls from 82 to 45 ms.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GARBAGE)


def run(service: Coroutine[Any, Any, None]) -> None:
    """Run a service until it ends, on uvloop where there is one, else on asyncio's own loop.

    A call costs several turns of the loop. Measured with 64 calls in flight: a bare echo takes
    190 µs of CPU a call in place of 205, a success with nothing to clear 184 in place of 254.
    """
    _share_arenas()
    try:
        import uvloop
    except ModuleNotFoundError:  # Windows has none
        asyncio.run(service)
    else:
        uvloop.run(service)


def _share_arenas() -> None:
    """Let the threads of gRPC share memory, which each would take from an arena of its own.

    Of nine arenas eight are nearly empty, and stay so. Measured after 30,000 calls: 1.5 MiB less.
    Whoever runs the service may say otherwise, by MALLOC_ARENA_MAX.
    """
    if sys.platform != "linux" or "MALLOC_ARENA_MAX" in os.environ:
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, _ARENAS)


def _tell(program: str, *problems: str) -> None:
    for problem in problems:
        sys.stderr.write(f"{program}: {problem}\n")
