"""A receiver of webhooks, as somebody would write one: it checks every signature by itself.

The signature is that of Standard Webhooks (https://www.standardwebhooks.com): an HMAC-SHA256 over
`id.timestamp.body` under the shared secret.
"""

from __future__ import annotations

import base64
import hmac
import json
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from email.message import Message

_TOLERANCE_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came in."""

    webhook_id: str
    signature: str
    signature_is_valid: bool
    body: dict[str, Any]

    @property
    def type(self) -> str:
        """The CloudEvents type, such as `alert.raised`."""
        return str(self.body["type"])


def is_signed(secret: str, headers: Message, body: bytes) -> bool:
    """Whether one of the signatures of a request is right, and the request is fresh."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    identity, moment = headers["webhook-id"], headers["webhook-timestamp"]
    if not moment or abs(time.time() - int(moment)) > _TOLERANCE_SECONDS:
        return False
    digest = hmac.digest(key, f"{identity}.{moment}.".encode() + body, "sha256")
    wanted = "v1," + base64.b64encode(digest).decode()
    given = (headers["webhook-signature"] or "").split()
    return any(hmac.compare_digest(wanted, each) for each in given)


class Receiver:
    """An HTTP server on the loopback address that keeps what it was sent.

    Answers 204 to what is signed by `secret`, and 401 to anything else.
    """

    def __init__(self) -> None:
        self.secret = ""
        self._requests: list[Request] = []
        self._arrived = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._make_handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/on-call"

    def requests(self) -> list[Request]:
        """Return what has come in, the first one first."""
        with self._arrived:
            return list(self._requests)

    def wait_for(self, condition: Callable[[list[Request]], bool], seconds: float) -> list[Request]:
        """Return all requests once they satisfy the condition, or when the time is over."""
        with self._arrived:
            self._arrived.wait_for(lambda: condition(self._requests), seconds)
            return list(self._requests)

    def _take(self, headers: Message, body: bytes) -> bool:
        valid = is_signed(self.secret, headers, body)
        request = Request(
            headers["webhook-id"] or "", headers["webhook-signature"] or "", valid, json.loads(body)
        )
        with self._arrived:
            self._requests.append(request)
            self._arrived.notify_all()
        return valid

    def _make_handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                self.send_response(204 if receiver._take(self.headers, body) else 401)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing: the story does the talking."""

        return Handler
