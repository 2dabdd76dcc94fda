"""A webhook receiver that records what it gets and answers as told."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import web

from support.waiting import WITHIN_SECONDS

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Mapping


@dataclass(frozen=True, slots=True)
class Received:
    """One request, as it came. Header names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def webhook_id(self) -> str:
        return self.headers["webhook-id"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What to answer. `hold`: wait for this first. `drop`: cut the connection instead."""

    status: int = 204
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    hold: asyncio.Event | None = None
    drop: bool = False


Responder = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Receiver:
    """Records requests in `requests`. Answers from the script first, then with `always`.

    `respond`, when set, answers instead of both: for answers that are streamed or broken.
    """

    def __init__(self) -> None:
        self.requests: list[Received] = []
        self.always = Answer()
        self.respond: Responder | None = None
        self.url = ""
        self.port = 0
        self._script: deque[Answer] = deque()
        self._came = asyncio.Condition()

    def script(self, *answers: Answer) -> None:
        """Answer the next requests with these, in order."""
        self._script.extend(answers)

    @property
    def webhook_ids(self) -> set[str]:
        """The ids of what came, each once however often it came."""
        return {each.webhook_id for each in self.requests}

    async def wait_for(self, count: int, *, within: float = WITHIN_SECONDS) -> list[Received]:
        """Return all requests once there are so many. Raises TimeoutError."""
        return await self.wait_until(lambda: len(self.requests) >= count, within=within)

    async def wait_until(
        self, holds: Callable[[], bool], *, within: float = WITHIN_SECONDS
    ) -> list[Received]:
        """Return all requests once `holds`, asked after each one. Raises TimeoutError.

        It is to be quick: while it is asked, nobody is answered. What looks at thousands of
        requests is for `eventually`.
        """
        async with asyncio.timeout(within), self._came:
            await self._came.wait_for(holds)
        return list(self.requests)

    async def _record(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        answer = self._script.popleft() if self._script else self.always
        async with self._came:
            self.requests.append(Received(request.method, request.path_qs, headers, body))
            self._came.notify_all()
        if self.respond is not None:
            return await self.respond(request)
        return await _give(answer, request)


async def _give(answer: Answer, request: web.Request) -> web.Response:
    if answer.hold is not None:
        await answer.hold.wait()
    if answer.drop and request.transport is not None:
        request.transport.abort()
    return web.Response(status=answer.status, headers=answer.headers, body=answer.body)


@asynccontextmanager
async def running_receiver(ssl_context: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    """Run a receiver on a free port of 127.0.0.1. Requests still held at the end are cut."""
    receiver = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", receiver._record)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=ssl_context)
    await site.start()
    receiver.port = runner.addresses[0][1]
    scheme = "http" if ssl_context is None else "https"
    receiver.url = f"{scheme}://127.0.0.1:{receiver.port}"
    try:
        yield receiver
    finally:
        await runner.cleanup()
