"""The least that telling a webhook can take: one POST after the other, each on a new connection."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bench.load import LoadError
from bench.percentiles import percentile
from bench.receiver import receiving

if TYPE_CHECKING:
    from bench.run import Bench

_BODY = bytes(1_500)  # about what an alert takes as a CloudEvent


async def one_after_the_other(bench: Bench) -> float:
    """Return the median time from the first packet to the receiver's answer, in milliseconds."""
    async with receiving() as arrivals:
        return await bench.clients.run(_post_for, arrivals.url, bench.seconds / 2)


def _post_for(url: str, seconds: float) -> float:
    place = urlsplit(url)
    head = f"POST {place.path} HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Length: {len(_BODY)}"
    request = f"{head}\r\n\r\n".encode() + _BODY
    took = []
    end = time.perf_counter() + seconds
    while (begin := time.perf_counter()) < end:
        with socket.create_connection((place.hostname, place.port or 0)) as connection:
            connection.sendall(request)
            if not connection.recv(1_024).startswith(b"HTTP/1.1 204"):
                raise LoadError("The receiver did not take a request.")
        took.append(time.perf_counter() - begin)
    return percentile(sorted(took), 0.5) * 1000
