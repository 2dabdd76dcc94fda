"""`python deploy/demo`: Tocsin's main job on real input, in a folder that is removed at the end."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import threading
from pathlib import Path

import restic as backups
from stage import NotSeenError, Stage
from story import Story

from tocsin.cli.exits import CommandError
from tocsin.cli.stack.ports import free_port
from tocsin.cli.stack.stack import LOOPBACK_NETWORKS, Stack, StackSettings
from tocsin.client.errors import CallError

_LAST_LINES = 12


def main() -> int:
    """Run the demo and return its exit code: 0 only if every step was seen."""
    wanted = _arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stop in order, as for Ctrl-C
    with tempfile.TemporaryDirectory(prefix="tocsin-demo-") as folder:
        Path(folder).chmod(0o711)  # PostgreSQL may run under an account of its own
        if wanted.record:
            backups.record(Path(folder))
            return 0
        try:
            return _play(Path(folder), wanted.restic)
        except KeyboardInterrupt:
            return 130


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="deploy/demo", description=__doc__)
    parser.add_argument(
        "--restic",
        choices=("auto", "real", "recorded"),
        default="auto",
        help="run the restic of this machine, or replay a recording; auto: real if there is one",
    )
    parser.add_argument(
        "--record", action="store_true", help="record the restic of this machine anew, and end"
    )
    return parser.parse_args()


def _play(folder: Path, wanted: str) -> int:
    stage = Stage()
    try:
        restic = backups.find_restic(folder / "host", wanted)
        stack = Stack(_settings(folder))
        stage.step(f"Tocsin starts; a host is made ready ({restic.origin})")
        preparing = _Preparation(restic)
        with stack:
            stage.tell(f"alert on {stack.settings.alert_target}")
            stage.tell(f"notify on {stack.settings.notify_target}")
            preparing.wait()
            Story(stage, stack.settings, restic).run()
    except (NotSeenError, CallError, CommandError, backups.ResticError) as error:
        print(f"\nThe demo failed after {stage.seconds:.1f} s. {error}", file=sys.stderr)
        print(_last_words(folder / "data" / "log"), file=sys.stderr)
        return 1
    print(f"\nAll {stage.steps} steps were seen, in {stage.seconds:.1f} s. ({restic.origin})")
    return 0


def _last_words(logs: Path) -> str:
    """Return how the log of each part ends: the folder is gone when somebody could look."""
    told = []
    for log in sorted(logs.glob("*.log")):
        lines = log.read_text(errors="replace").splitlines()[-_LAST_LINES:]
        told += ["", f"The end of {log.name}:", *(f"  {line}" for line in lines)]
    return "\n".join(told)


def _settings(folder: Path) -> StackSettings:
    return StackSettings(
        data=folder / "data",
        alert_port=free_port(),
        notify_port=free_port(),
        allowed_networks=LOOPBACK_NETWORKS,
        show_console=False,
        environment=_environment(),
    )


def _environment() -> dict[str, str]:
    """Return ours without settings of the services: the demo has its own."""
    theirs = ("TOCSIN_ALERT_", "TOCSIN_NOTIFY_")
    return {name: value for name, value in os.environ.items() if not name.startswith(theirs)}


class _Preparation(threading.Thread):
    """Makes the repository while the services start: restic takes its time over the first key."""

    def __init__(self, restic: backups.Restic) -> None:
        super().__init__(name="preparation")
        self._restic = restic
        self._error: backups.ResticError | None = None
        self.start()

    def run(self) -> None:
        try:
            self._restic.prepare()
        except backups.ResticError as error:
            self._error = error

    def wait(self) -> None:
        """Wait until it is made. Raises ResticError."""
        self.join()
        if self._error is not None:
            raise self._error


if __name__ == "__main__":
    sys.exit(main())
