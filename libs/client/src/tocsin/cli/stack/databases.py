"""Keeps PostgreSQL running for a stack: `python -m tocsin.cli.stack.databases FOLDER`.

A process of its own, so that the server is stopped cleanly whatever becomes of the stack. Writes
one line of JSON to standard output when the databases are ready, and runs until SIGTERM. A server
that ends by itself is started again, on the same port.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
from pathlib import Path
from typing import NamedTuple

from tocsin.common.postgres.embedded import (
    Cluster,
    ClusterError,
    PostgresMissingError,
)

_LOOK_SECONDS = 0.5

ALERT_DATABASE = "tocsin_alert"
NOTIFY_DATABASE = "tocsin_notify"


class DatabaseUrls(NamedTuple):
    """Where the two services keep their state."""

    alert: str
    notify: str


def read_announcement(line: bytes) -> DatabaseUrls:
    """Read what a keeper wrote when it was ready. Raises ValueError when it is something else."""
    told = json.loads(line)
    return DatabaseUrls(told["alert"], told["notify"])


def _announce(cluster: Cluster) -> None:
    urls = DatabaseUrls(
        cluster.create_database(ALERT_DATABASE), cluster.create_database(NOTIFY_DATABASE)
    )
    print(json.dumps(urls._asdict()), flush=True)  # noqa: T201 - read by the stack


def _start_again(cluster: Cluster) -> None:
    if not cluster.runs:
        print("PostgreSQL ended by itself: starting it again.", file=sys.stderr, flush=True)  # noqa: T201
        cluster.start()


def main() -> None:
    """Start the server, tell where it is, wait to be stopped, stop it."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    cluster = Cluster(Path(sys.argv[1]))
    try:
        cluster.start()
        try:
            _announce(cluster)
            while not stop.wait(_LOOK_SECONDS):
                _start_again(cluster)
        finally:
            cluster.stop()
    except (ClusterError, PostgresMissingError, OSError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
