"""A server that answers any call with what a test prepared, and remembers what it was sent."""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import grpc

from tocsin.common.errors import TocsinError
from tocsin.common.rpc.status import status_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.protobuf.message import Message


class ScriptedAnswers(grpc.GenericRpcHandler):
    """Answers each method (`RaiseOrTouch`, …) with the next of its answers, the last for ever.

    An answer is a message, an error, or None for none at all.
    """

    def __init__(self) -> None:
        self.answers: dict[str, deque[Message | TocsinError | None]] = defaultdict(deque)
        self.calls: list[tuple[str, bytes]] = []
        self.seconds_given: list[float | None] = []
        self.let_go = threading.Event()

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
            return self._answer(details.method.rsplit("/", 1)[-1], request, context)

        return grpc.unary_unary_rpc_method_handler(answer)

    def sent(self, method: str) -> list[bytes]:
        """Return the requests that came for a method."""
        return [request for name, request in self.calls if name == method]

    def _answer(self, method: str, request: bytes, context: grpc.ServicerContext) -> bytes:
        self.calls.append((method, request))
        self.seconds_given.append(context.time_remaining())
        answers = self.answers[method]
        answer = answers.popleft() if len(answers) > 1 else answers[0]
        if answer is None:
            self.let_go.wait(10)
            return b""
        if isinstance(answer, TocsinError):
            wire = status_of(answer)
            context.set_trailing_metadata(wire.trailing_metadata)
            context.abort(wire.code, wire.message)
        return answer.SerializeToString()


@contextmanager
def answering() -> Iterator[tuple[ScriptedAnswers, str]]:
    """Serve on a loopback port; yields the script and the target."""
    script = ScriptedAnswers()
    with ThreadPoolExecutor(4) as threads:
        server = grpc.server(threads, options=[("grpc.so_reuseport", 0)])
        server.add_generic_rpc_handlers([script])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield script, f"127.0.0.1:{port}"
        finally:
            script.let_go.set()
            server.stop(None).wait()
