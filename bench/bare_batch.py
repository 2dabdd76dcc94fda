"""The least that a server in Python does for a batch: no more than the wire and one statement.

`python -m bench.bare_batch PORT DATABASE touch|raise`. It reads every field of every request, has
PostgreSQL write the keys by the very statement that `bench.alone` measures, and answers with
whole alerts. It checks nothing, decides nothing and remembers nothing; the event of a raise is
always the same bytes. What it reaches is the room that a server in Python has.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Any

import asyncpg
import grpc
import uvloop

from bench import alone
from bench.bodies import BATCH
from tocsin.api.alert.v1 import alert_pb2
from tocsin.api.alert.v1.alert_service_pb2 import (
    RAISE_OUTCOME_TOUCHED,
    BatchRaiseOrTouchRequest,
    BatchRaiseOrTouchResponse,
)

if TYPE_CHECKING:
    from uuid import UUID

    from tocsin.api.alert.v1.alert_service_pb2 import RaiseOrTouchRequest

    _Context = grpc.aio.ServicerContext[Any, Any]

_CONNECTIONS = 4
_BATCH = 100


class _Batches:
    """The one method. `writes` are statements on connections of their own, which wait for work."""

    def __init__(self, writes: asyncio.Queue[alone.Write]) -> None:
        self._writes = writes

    async def call(
        self, request: BatchRaiseOrTouchRequest, _context: _Context
    ) -> BatchRaiseOrTouchResponse:
        reports = [_read(item) for item in request.requests]
        written = [alone.Report(*each[:6], json.dumps(each[6])) for each in reports]
        write = await self._writes.get()
        try:
            rows = await write(written)
        finally:
            self._writes.put_nowait(write)
        response = BatchRaiseOrTouchResponse()
        for report, row in zip(reports, rows, strict=True):
            _answer(response, row[0], *report)
        return response


def _read(item: RaiseOrTouchRequest) -> tuple[str, str, str, int, str, str, dict[str, str], str]:
    labels = {name: item.labels[name] for name in item.labels}
    severity = item.severity or alert_pb2.SEVERITY_WARNING
    key = item.host_id, item.kind, item.dedup_key
    return *key, severity, item.message, item.cause, labels, item.request_id


def _answer(response: BatchRaiseOrTouchResponse, written: UUID | int, *report: Any) -> None:
    answer = response.results.add().response
    answer.outcome = RAISE_OUTCOME_TOUCHED
    alert = answer.alert
    alert.host_id, alert.kind, alert.dedup_key, alert.severity = report[:4]
    alert.message, alert.cause = report[4:6]
    for name, value in report[6].items():
        alert.labels[name] = value
    alert.alert_id = str(written)
    alert.host_name = alert.host_id
    alert.status = alert_pb2.ALERT_STATUS_OPEN
    alert.occurrences = alert.version = 1
    alert.raise_time.seconds = alert.last_seen_time.seconds = 1


async def _serve(port: int, url: str, *, raises: bool) -> None:
    writes: asyncio.Queue[alone.Write] = asyncio.Queue()
    for _ in range(_CONNECTIONS):
        connection = await asyncpg.connect(url)
        writes.put_nowait(await alone.prepare(connection, raises=raises, keys=_BATCH))
    server = grpc.aio.server()
    _, service, method = BATCH.split("/")
    handler: grpc.RpcMethodHandler[Any, Any] = grpc.unary_unary_rpc_method_handler(
        _Batches(writes).call,
        BatchRaiseOrTouchRequest.FromString,
        BatchRaiseOrTouchResponse.SerializeToString,
    )
    server.add_registered_method_handlers(service, {method: handler})
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1]), sys.argv[2], raises=sys.argv[3] == "raise"))
