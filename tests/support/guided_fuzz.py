"""Fuzzes one service, guided by which of its code each input reaches. A program; needs atheris.

    python -m support.guided_fuzz alert URL 20000 7 FOLDER

makes so many calls of tocsin-alert on the database of that URL, beginning with that seed. It ends
with an error at the first call that shows a bug, and leaves what was sent in the folder. Of each
input the first byte says which method is called, and the others are the request.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import seed as seeded_with
from hypothesis import strategies as st

# It is no part of what is locked, and has no types.
atheris = importlib.import_module("atheris")

with atheris.instrument_imports(include=["tocsin"]):
    from support.alert import running_alert
    from support.fuzzing import NEVER, requests_of
    from support.identity import code_of_call
    from support.notify import NO_ALERT_SERVICE, running_notify
    from support.registered import registered_methods
    from tocsin.common.rpc.channel import open_channel

if TYPE_CHECKING:
    from collections.abc import Callable

EXAMPLES = 300
LONGEST_BYTES = 2_000


class Served:
    """A service in a thread of its own, until the program ends."""

    def __init__(self, service: str, url: str) -> None:
        self.methods: list[str] = []
        self._service, self._url = service, url
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        threading.Thread(
            target=self._loop.run_until_complete, args=(self._serve(),), daemon=True
        ).start()
        self._ready.wait()

    async def _serve(self) -> None:
        with registered_methods() as registered:
            if self._service == "alert":
                async with running_alert(self._url) as alert:
                    await self._open(alert.app.port, registered)
            async with running_notify(self._url, NO_ALERT_SERVICE) as notify:
                await self._open(notify.port, registered)

    async def _open(self, port: int, registered: set[str]) -> None:
        self.methods = sorted(each for each in registered if not each.startswith("/grpc."))
        async with open_channel(f"127.0.0.1:{port}") as self._channel:
            self._ready.set()
            await asyncio.Event().wait()

    def call(self, sent: bytes) -> None:
        """Make one call. Raises AssertionError for a bug."""
        if not sent:
            return
        method, raw = self.methods[sent[0] % len(self.methods)], sent[1:]
        calling = code_of_call(self._channel, method, request=raw)
        code, said = asyncio.run_coroutine_threadsafe(calling, self._loop).result(60)
        assert code not in NEVER, (method, raw, code, said)


def write_examples(methods: list[str], seed: int, folder: Path) -> None:
    """Leave requests that are mostly right for the fuzzer to begin with."""

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @seeded_with(seed)
    @given(st.data())
    def write(data: st.DataObject) -> None:
        number = data.draw(st.integers(0, len(methods) - 1))
        request = data.draw(requests_of(methods[number]))
        text = bytes([number]) + request.SerializeToString()
        (folder / f"{hash(text):x}").write_bytes(text[:LONGEST_BYTES])

    write()


def fuzz(call: Callable[[bytes], None], runs: int, seed: int, corpus: Path, found: Path) -> None:
    """Does not return: libFuzzer ends the program."""
    limits = [f"-runs={runs}", f"-seed={seed % 2**31}", f"-max_len={LONGEST_BYTES}", "-timeout=60"]
    atheris.Setup([sys.argv[0], *limits, f"-artifact_prefix={found}/", str(corpus)], call)
    atheris.Fuzz()


if __name__ == "__main__":
    service, url, runs, seed, place = sys.argv[1:]
    served = Served(service, url)
    corpus = Path(place) / "corpus"
    corpus.mkdir()
    write_examples(served.methods, int(seed), corpus)
    fuzz(served.call, int(runs), int(seed), corpus, Path(place))
