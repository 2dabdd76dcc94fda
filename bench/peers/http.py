"""Load on what speaks HTTP/1.1 with JSON."""

from __future__ import annotations

import http.client
import json
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.h2load import times_in
from bench.load import Load, LoadError
from bench.percentiles import p50_and_p99

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    MakeBody = Callable[[int, str], Any]

_WARM_UP_SECONDS = 1
_HEADERS = {"Content-Type": "application/json"}


def load(url: str, body: Any, *, clients: int, seconds: int) -> Load:
    """Post the same JSON again and again over so many connections, by h2load. Blocks.

    Raises LoadError when an answer is no success.
    """
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-http-") as name:
        sent, log = Path(name) / "body", Path(name) / "log"
        sent.write_text(json.dumps(body))
        command = [
            *("h2load", "--h1", url, "--header", "content-type: application/json"),
            *("--clients", str(clients), "--duration", str(seconds + _WARM_UP_SECONDS)),
            *("--data", str(sent), "--log-file", str(log)),
        ]
        told = subprocess.run(command, capture_output=True, check=False).stdout
        logged = log.read_text() if log.exists() else ""
    bad = [line for line in logged.splitlines() if not line.split("\t")[1].startswith("2")]
    if bad or not logged:
        raise LoadError(f"{len(bad)} posts failed; h2load said: {told[-500:]!r}")
    took = times_in(logged, skipped_seconds=_WARM_UP_SECONDS)
    return Load(len(took) / seconds, *p50_and_p99(took), client_cores=0.0)


def post_all(port: int, path: str, bodies: Iterable[Any]) -> None:
    """Post one after the other on one connection. Blocks. Raises LoadError."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        for body in bodies:
            _post(connection, path, body)
    finally:
        connection.close()


def post_steadily(port: int, path: str, make_body: MakeBody, *, rate: int, seconds: float) -> None:
    """Post body 0, 1, 2, … at a steady rate. For a process of its own.

    Each is given the moment at which it was due (`time.monotonic_ns`), as text.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        begin = time.monotonic_ns() + 100_000_000
        for number in range(round(rate * seconds)):
            due = begin + number * 1_000_000_000 // rate
            time.sleep(max(due - time.monotonic_ns(), 0) / 1e9)
            _post(connection, path, make_body(number, str(due)))
    finally:
        connection.close()


def _post(connection: http.client.HTTPConnection, path: str, body: Any) -> None:
    connection.request("POST", path, json.dumps(body), _HEADERS)
    answer = connection.getresponse()
    said = answer.read()
    if not 200 <= answer.status < 300:
        raise LoadError(f"{path} answered {answer.status}: {said[:300]!r}")
