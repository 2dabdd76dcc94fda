"""The `tocsin` command, run in this process as a person or a script would run it."""

from __future__ import annotations

import json
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from tocsin.cli.main import run
from tocsin.cli.stack.databases import DatabaseUrls
from tocsin.cli.stack.ports import free_port
from tocsin.cli.stack.stack import LOOPBACK_NETWORKS, Stack, StackSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tocsin.common.postgres.embedded import Cluster


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True, slots=True)
class Command:
    """`tocsin`, told where the services are."""

    alert: str = "127.0.0.1:1"
    notify: str = "127.0.0.1:1"
    timeout: str = "30"

    def __call__(self, *words: str) -> Ended:
        """Run a command and return how it ended."""
        shared = ("--target", self.alert, "--notify-target", self.notify, "--timeout", self.timeout)
        return self.plain(*words, *shared)

    def plain(self, *words: str) -> Ended:
        """Run a command with nothing added."""
        out, err = StringIO(), StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            code = run(list(words))
        return Ended(code, out.getvalue(), err.getvalue())

    def done(self, *words: str) -> str:
        """Run a command that must succeed and return what it printed."""
        ended = self(*words)
        assert (0, "") == (ended.code, ended.err)
        return ended.out

    def json(self, *words: str) -> Any:
        """Run a command that must succeed and return its one JSON document."""
        return json.loads(self.done(*words, "--json"))


@contextmanager
def running_stack(folder: Path, cluster: Cluster) -> Iterator[StackSettings]:
    """Give both services, running on fresh databases of a cluster."""
    mark = uuid4().hex[:12]
    names = (f"cli_alert_{mark}", f"cli_notify_{mark}")
    settings = StackSettings(
        data=folder,
        alert_port=free_port(),
        notify_port=free_port(),
        databases=DatabaseUrls(*(cluster.create_database(name) for name in names)),
        allowed_networks=LOOPBACK_NETWORKS,
        show_console=False,
    )
    with Stack(settings):
        yield settings
    for name in names:
        cluster.drop_database(name)
