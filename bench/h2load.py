"""Load by h2load (of nghttp2), which is written in C: it leaves the machine to the server.

One h2load sends one body only, so several run side by side, each with a key of its own.
https://nghttp2.org/documentation/h2load.1.html
"""

from __future__ import annotations

import asyncio
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.bodies import framed
from bench.load import Load, LoadError
from bench.percentiles import p50_and_p99

if TYPE_CHECKING:
    from collections.abc import Sequence

_WARM_UP_SECONDS = 1
# h2load counts what was under way at the end in one number and not in the other.
_COUNTED_ALIKE = 0.98
_TRAFFIC = re.compile(r"traffic: .*\((\d+)\) data$", re.MULTILINE)


def is_installed() -> bool:
    """Whether there is an h2load."""
    return shutil.which("h2load") is not None


async def load(
    target: str,
    method: str,
    bodies: Sequence[bytes],
    *,
    in_flight: int,
    seconds: int,
    answer_bytes: int,
) -> Load:
    """Call a method with these bodies, so many at a time in all, for so long.

    `in_flight` is a multiple of the number of bodies. `answer_bytes` is the length of a good
    answer. Raises LoadError.
    """
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-h2load-") as name:
        run = _Run(f"http://{target}{method}", in_flight // len(bodies), seconds, answer_bytes)
        running = [
            run.with_body(_written(body, Path(name) / str(number)))
            for number, body in enumerate(bodies)
        ]
        times = [took for each in await asyncio.gather(*running) for took in each]
    if not times:
        raise LoadError(f"h2load had no answer from {target}{method}.")
    p50, p99 = p50_and_p99(times)
    return Load(len(times) / seconds, p50, p99, client_cores=0.0)


@dataclass(frozen=True, slots=True)
class _Run:
    url: str
    in_flight: int
    seconds: int
    answer_bytes: int

    async def with_body(self, path: Path) -> list[float]:
        log = path.with_suffix(".log")
        running = await asyncio.create_subprocess_exec(
            *("h2load", self.url, "--data", str(path)),
            *("--header", "content-type: application/grpc", "--header", "te: trailers"),
            *("--clients", "1", "--max-concurrent-streams", str(self.in_flight)),
            *("--duration", str(self.seconds + _WARM_UP_SECONDS), "--log-file", str(log)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        told, _ = await running.communicate()
        if running.returncode != 0:
            raise LoadError(f"h2load failed: {told.decode(errors='replace')[-500:]}")
        logged = log.read_text()
        self._require_answers(told.decode(), logged.count("\n"))
        return times_in(logged, skipped_seconds=_WARM_UP_SECONDS)

    def _require_answers(self, told: str, count: int) -> None:
        """Refuse a run with errors: those of gRPC are HTTP 200 too, but have no message."""
        traffic = _TRAFFIC.search(told)
        if traffic is None or int(traffic[1]) < count * self.answer_bytes * _COUNTED_ALIKE:
            raise LoadError(f"Some of the {count} calls failed; h2load said: {told[-500:]}")


def _written(body: bytes, path: Path) -> Path:
    path.write_bytes(framed(body))
    return path


def times_in(log: str, *, skipped_seconds: int) -> list[float]:
    """Return how long each request took, in milliseconds, but for those of the first seconds.

    A line of the log has the start in µs, the HTTP status, and how long it took in µs.
    """
    lines = [line.split("\t") for line in log.splitlines()]
    begin = min((int(line[0]) for line in lines), default=0) + skipped_seconds * 1_000_000
    return [int(line[2]) / 1000 for line in lines if int(line[0]) >= begin]
