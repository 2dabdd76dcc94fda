"""The whole of Tocsin on one machine: PostgreSQL, tocsin-alert and tocsin-notify as children.

A stack starts all of them or none, and its parts end with it, even when it is killed.
"""

from __future__ import annotations

import os
import select
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from tocsin.cli.exits import CommandError, ExitCode
from tocsin.cli.stack.child import Child
from tocsin.cli.stack.databases import DatabaseUrls, read_announcement
from tocsin.cli.stack.ground import DataFolder
from tocsin.cli.stack.health import is_serving
from tocsin.cli.stack.ports import LOOPBACK, require_free

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_DATABASE_SECONDS = 60.0  # a first start makes the cluster
_SERVING_SECONDS = 30.0
_POLL_SECONDS = 0.05

_SECRET_KEYS = {"TOCSIN_NOTIFY_SECRET_KEY", "TOCSIN_NOTIFY_SECRET_KEY_FILE"}

LOOPBACK_NETWORKS = "127.0.0.0/8,::1/128"


@dataclass(frozen=True, slots=True)
class StackSettings:
    """What a stack is made of.

    `databases` unset: a PostgreSQL server of its own under `data`. `allowed_networks` are the
    CIDRs that notify may call although they are not public. `show_console`: what the console
    channel prints goes to our standard output, else to notify's log. `environment` is what the
    parts inherit; what is set there for the services holds where nothing here says otherwise.
    """

    data: Path
    alert_port: int = 7070
    notify_port: int = 7071
    databases: DatabaseUrls | None = None
    allowed_networks: str | None = None
    show_console: bool = True
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))

    @property
    def alert_target(self) -> str:
        return f"{LOOPBACK}:{self.alert_port}"

    @property
    def notify_target(self) -> str:
        return f"{LOOPBACK}:{self.notify_port}"


class Stack:
    """PostgreSQL and the two services, started in order and stopped in reverse."""

    def __init__(self, settings: StackSettings) -> None:
        self.settings = settings
        self.folder = DataFolder(settings.data)
        self._children: list[Child] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start all parts and return when both services are ready.

        Raises CommandError (NOT_STARTED) that says what stood in the way; nothing runs then.
        """
        settings = self.settings
        if not self.folder.path.exists():
            self._require_ports()  # before anything is made
        self.folder.take(
            f"pid {os.getpid()}, alert on {settings.alert_target}, "
            f"notify on {settings.notify_target}"
        )
        try:
            self._require_ports()
            urls = settings.databases or self._start_databases()
            self._start_services(urls)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop all parts, the last started first. Idempotent."""
        while self._children:
            self._children[-1].stop()
            self._children.pop()
        self.folder.release()

    def kill(self) -> None:
        """End all parts at once, without their leave."""
        for child in self._children:
            child.kill()

    def fallen(self) -> CommandError | None:
        """Return the error of a part that has ended by itself, or None while all run."""
        for child in self._children:
            code = child.exit_code()
            if code is not None:
                return _fallen(child, code)
        return None

    def _require_ports(self) -> None:
        settings = self.settings
        require_free(settings.alert_port, service="tocsin-alert", option="--alert-port")
        require_free(settings.notify_port, service="tocsin-notify", option="--notify-port")

    def _start_databases(self) -> DatabaseUrls:
        keeper = Child(
            "PostgreSQL",
            "tocsin.cli.stack.databases",
            [str(self.folder.path / "postgres")],
            environment=self.settings.environment,
            log=self.folder.log("postgres"),
            output=subprocess.PIPE,
            keeps=self.folder.lock,
        )
        self._children.append(keeper)
        ready, _, _ = select.select([keeper.output], [], [], _DATABASE_SECONDS)
        announcement = keeper.output.readline() if ready else b""
        if not announcement:
            if ready:
                keeper.stop()
            raise _not_started(keeper, _DATABASE_SECONDS)
        return read_announcement(announcement)

    def _start_services(self, urls: DatabaseUrls) -> None:
        services = {
            self._start_alert(urls.alert): self.settings.alert_target,
            self._start_notify(urls.notify): self.settings.notify_target,
        }
        deadline = time.monotonic() + _SERVING_SECONDS
        for child, target in services.items():
            _wait_for_service(target, child, deadline)

    def _start_alert(self, database_url: str) -> Child:
        return self._start_service(
            "tocsin-alert",
            "tocsin.alert",
            {
                "TOCSIN_ALERT_LISTEN": self.settings.alert_target,
                "TOCSIN_ALERT_DATABASE_URL": database_url,
            },
        )

    def _start_notify(self, database_url: str) -> Child:
        environment = {
            "TOCSIN_NOTIFY_LISTEN": self.settings.notify_target,
            "TOCSIN_NOTIFY_DATABASE_URL": database_url,
            "TOCSIN_NOTIFY_ALERT_TARGET": self.settings.alert_target,
        }
        if not _SECRET_KEYS & self.settings.environment.keys():
            environment["TOCSIN_NOTIFY_SECRET_KEY_FILE"] = str(self.folder.secret_key_file())
        if self.settings.allowed_networks is not None:
            environment["TOCSIN_NOTIFY_ALLOWED_NETWORKS"] = self.settings.allowed_networks
        return self._start_service("tocsin-notify", "tocsin.notify", environment)

    def _start_service(self, name: str, module: str, environment: Mapping[str, str]) -> Child:
        shows = self.settings.show_console and module == "tocsin.notify"
        child = Child(
            name,
            module,
            ["serve"],
            environment={**_open_here(name), **self.settings.environment, **environment},
            log=self.folder.log(name.removeprefix("tocsin-")),
            output=_our_output() if shows else None,
            keeps=self.folder.lock,
        )
        self._children.append(child)
        return child


def _open_here(name: str) -> dict[str, str]:
    """Let everybody on this machine in, where the environment does not say otherwise."""
    return {f"{name.replace('-', '_').upper()}_INSECURE_DEV": "true"}


def _our_output() -> int:
    return 1  # the descriptor itself: whatever sys.stdout has become, the terminal is behind it


def _wait_for_service(target: str, child: Child, deadline: float) -> None:
    while not is_serving(target):
        code = child.exit_code()
        if code is not None:
            raise _fallen(child, code)
        if time.monotonic() > deadline:
            raise _not_started(child, _SERVING_SECONDS)
        time.sleep(_POLL_SECONDS)


def _not_started(child: Child, seconds: float) -> CommandError:
    code = child.exit_code()
    if code is not None:
        return _fallen(child, code)
    return CommandError(
        f"{child.name} was not ready within {seconds:.0f} s. {_evidence(child)}",
        ExitCode.NOT_STARTED,
    )


def _fallen(child: Child, code: int) -> CommandError:
    how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    return CommandError(f"{child.name} {how}. {_evidence(child)}", ExitCode.NOT_STARTED)


def _evidence(child: Child) -> str:
    words = child.last_words()
    if not words:
        return f"It said nothing (log: {child.log})."
    return f"It said (log: {child.log}):\n{words}"
