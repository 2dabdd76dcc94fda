"""Load by h2load (of nghttp2), which is written in C: it leaves the machine to the server.

One h2load sends one body only, so several run side by side, each with a key of its own.
https://nghttp2.org/documentation/h2load.1.html
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bench.bodies import framed
from bench.load import Load, LoadError
from bench.percentiles import p50_and_p99

if TYPE_CHECKING:
    from collections.abc import Sequence

_WARM_UP_SECONDS = 1
# h2load counts what was under way at the end in one number and not in the other.
_COUNTED_ALIKE = 0.98
# More than a second of calls, so that waiting for answers never slows the sending.
_FLOOD_IN_FLIGHT = 5_000
_TRAFFIC = re.compile(r"traffic: .*\((\d+)\) data$", re.MULTILINE)


class Flooded(NamedTuple):
    """How long each call took that had an answer, in milliseconds, and how many had none."""

    took: list[float]
    refused: int


def is_installed() -> bool:
    """Whether there is an h2load."""
    return shutil.which("h2load") is not None


def load(
    target: str,
    method: str,
    bodies: Sequence[bytes],
    *,
    in_flight: int,
    seconds: int,
    answer_bytes: int,
) -> Load:
    """Call a method with these bodies, so many at a time in all, for so long. Blocks.

    `in_flight` is a multiple of the number of bodies. `answer_bytes` is the length of a good
    answer. Raises LoadError.
    """
    told, logged = _run(target, method, bodies, in_flight // len(bodies), seconds=seconds)
    _require_answers(told, logged, answer_bytes)
    times = [took for log in logged for took in times_in(log, skipped_seconds=_WARM_UP_SECONDS)]
    p50, p99 = p50_and_p99(times)
    return Load(len(times) / seconds, p50, p99, client_cores=0.0)


def flood(
    target: str, method: str, bodies: Sequence[bytes], *, rate: float, seconds: int
) -> Flooded:
    """Call a method with these bodies, so often a second in all, however the answers come. Blocks.

    h2load does not wait when the server allows no more calls on a connection, as clients of gRPC
    do: then HTTP/2 refuses the call. The first second is not counted.
    """
    each = max(round(rate / len(bodies)), 1)
    pace = ("--rps", str(each))
    _, logged = _run(target, method, bodies, _FLOOD_IN_FLIGHT, seconds=seconds, more=pace)
    took, refused = [], 0
    for log in logged:
        lines = log.splitlines()
        answered = [line for line in lines if line.split("\t")[1] == "200"]
        took += times_in("\n".join(answered), skipped_seconds=_WARM_UP_SECONDS)
        refused += len(times_in(log, skipped_seconds=_WARM_UP_SECONDS))
    return Flooded(took, refused - len(took))


def load_number(
    target: str,
    method: str,
    bodies: Sequence[bytes],
    *,
    in_flight: int,
    number: int,
    answer_bytes: int,
) -> None:
    """Call a method with these bodies, so many times in all. Blocks. Raises LoadError."""
    each = number // len(bodies)
    told, _ = _run(
        target, method, bodies, in_flight // len(bodies), seconds=0, more=("-n", str(each))
    )
    for said in told:
        traffic = _TRAFFIC.search(said)
        if traffic is None or int(traffic[1]) < each * answer_bytes * _COUNTED_ALIKE:
            raise LoadError(f"Some of {each} calls failed; h2load said: {said[-500:]}")


def _run(
    target: str,
    method: str,
    bodies: Sequence[bytes],
    in_flight: int,
    *,
    seconds: int,
    more: Sequence[str] = (),
) -> tuple[list[str], list[str]]:
    """Run an h2load for each body; return what each said, and its log when there is a time."""
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-h2load-") as name:
        logs = [Path(name) / f"{number}.log" for number in range(len(bodies))]
        command = [*_command(f"http://{target}{method}", in_flight), *more]
        if seconds:
            command += ["--duration", str(seconds + _WARM_UP_SECONDS)]
        running = [
            _start(command, body, log, keeps_log=bool(seconds))
            for body, log in zip(bodies, logs, strict=True)
        ]
        try:
            told = [each.communicate()[0].decode(errors="replace") for each in running]
        finally:
            for each in running:
                each.kill()
                each.wait()
        return told, [log.read_text() for log in logs if log.exists()]


def _command(url: str, in_flight: int) -> list[str]:
    return [
        *("h2load", url, "--header", "content-type: application/grpc", "--header", "te: trailers"),
        *("--clients", "1", "--max-concurrent-streams", str(in_flight)),
    ]


def _start(
    command: Sequence[str], body: bytes, log: Path, *, keeps_log: bool
) -> subprocess.Popen[bytes]:
    path = log.with_suffix(".body")
    path.write_bytes(framed(body))
    return subprocess.Popen(
        [*command, "--data", str(path), *(("--log-file", str(log)) if keeps_log else ())],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def _require_answers(told: Sequence[str], logged: Sequence[str], answer_bytes: int) -> None:
    """Refuse a load with errors: those of gRPC are HTTP 200 too, but have no message."""
    for said, log in zip_longest(told, logged, fillvalue=""):
        calls = log.count("\n")
        traffic = _TRAFFIC.search(said)
        expected = calls * answer_bytes * _COUNTED_ALIKE
        if not calls or traffic is None or int(traffic[1]) < expected:
            raise LoadError(f"Some of {calls} calls failed; h2load said: {said[-500:]}")


def times_in(log: str, *, skipped_seconds: int) -> list[float]:
    """Return how long each request took, in milliseconds, but for those of the first seconds.

    A line of the log has the start in µs, the HTTP status, and how long it took in µs.
    """
    lines = [line.split("\t") for line in log.splitlines()]
    begin = min((int(line[0]) for line in lines), default=0) + skipped_seconds * 1_000_000
    return [int(line[2]) / 1000 for line in lines if int(line[0]) >= begin]
