"""`tocsin up`: the whole of Tocsin on this machine, until Ctrl-C."""

import os
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from tocsin.api.notify.v1.channel_pb2 import Channel, ConsoleConfig
from tocsin.cli.exits import wrong_usage
from tocsin.cli.stack.databases import DatabaseUrls
from tocsin.cli.stack.screen import screen
from tocsin.cli.stack.stack import LOOPBACK_NETWORKS, Stack, StackSettings
from tocsin.client.errors import AlreadyExistsError
from tocsin.client.notify_sync import SyncNotifyClient

_LOOK_SECONDS = 0.5
_DATABASE_VARIABLES = ("TOCSIN_ALERT_DATABASE_URL", "TOCSIN_NOTIFY_DATABASE_URL")
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Port = Annotated[int, typer.Option(min=1, max=65_535, metavar="PORT", help="Where it listens.")]


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("up")(up)


def up(
    data: Annotated[
        Path, typer.Option("--data", metavar="FOLDER", help="Where the data is kept.")
    ] = Path(".local"),
    alert_port: Port = 7070,
    notify_port: Port = 7071,
    allow_loopback: Annotated[
        bool,
        typer.Option("--allow-loopback", help="Let channels call addresses of this machine."),
    ] = False,
) -> None:
    """Run all of Tocsin here, until Ctrl-C.

    Starts PostgreSQL, tocsin-alert and tocsin-notify. The data stays. With
    TOCSIN_ALERT_DATABASE_URL and TOCSIN_NOTIFY_DATABASE_URL set, those databases are used instead
    of a PostgreSQL server of its own.
    """
    settings = StackSettings(
        data=data,
        alert_port=alert_port,
        notify_port=notify_port,
        databases=_given_databases(),
        allowed_networks=LOOPBACK_NETWORKS if allow_loopback else None,
    )
    stack = Stack(settings)
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in _STOP_SIGNALS}
    try:
        with stack:
            _make_console_channel(stack)
            print(screen(settings, sys.argv[0]), flush=True)  # noqa: T201 - for people
            while not stop.wait(_LOOK_SECONDS):
                fallen = stack.fallen()
                if fallen is not None:
                    raise fallen
            print("\nStopping …", flush=True)  # noqa: T201 - for people
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _given_databases() -> DatabaseUrls | None:
    given = [os.environ.get(name, "") for name in _DATABASE_VARIABLES]
    if not any(given):
        return None
    if not all(given):
        raise wrong_usage(f"Set both {' and '.join(_DATABASE_VARIABLES)}, or neither.")
    return DatabaseUrls(*given)


def _make_console_channel(stack: Stack) -> None:
    """Make a console channel at the first start, so that there is something to see."""
    folder = stack.folder
    if folder.console_channel_made:
        return
    with SyncNotifyClient(stack.settings.notify_target) as notify:
        if not any(channel.HasField("console") for channel in notify.list_channels()):
            wanted = Channel(display_name="console", enabled=True, console=ConsoleConfig())
            with suppress(AlreadyExistsError):  # a channel of another type has that name
                notify.create_channel(wanted)
    folder.mark_console_channel_made()
