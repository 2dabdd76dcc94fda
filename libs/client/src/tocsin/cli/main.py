"""The `tocsin` command: its grammar, and how every end of it becomes an exit code."""

from __future__ import annotations

import os
import sys
from typing import Annotated

# The command says itself what went wrong; grpc's own log would say it twice.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

import typer

from tocsin.cli import (
    asking_health,
    channels,
    deciding,
    deliveries,
    executing,
    explaining,
    groups,
    hosts,
    identities,
    job_reporting,
    protection,
    reading,
    relaying,
    reporting,
    routes,
    schedules,
    silences,
    spooling,
    up,
    watching,
)
from tocsin.cli.exits import EXIT_CODES_HELP, CommandError, ExitCode, ReaderGoneError

_HELP = f"""The alarm bell for backups: raise, see and settle alerts, and see who was told.

{EXIT_CODES_HELP}"""


def _show_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version  # which loads much

        typer.echo(f"tocsin {version('tocsin-client')}")
        raise typer.Exit


def _root(
    *,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Stand before every command."""


def build() -> typer.Typer:
    """Return the whole command."""
    app = typer.Typer(
        name="tocsin",
        help=_HELP,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(help=_HELP)(_root)
    up.add_to(app)
    for family in (reporting, deciding, reading, watching):
        family.add_to(app)
    asking_health.add_to(app)
    channels.add_to(app)
    deliveries.add_to(app)
    explaining.add_to(app)
    routes.add_to(app)
    silences.add_to(app)
    identities.add_to(app)
    for reporter in (executing, job_reporting, spooling):
        reporter.add_to(app)
    protection.add_to(app)
    relaying.add_to(app)
    for registry in (hosts, groups, schedules):
        registry.add_to(app)
    return app


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code."""
    try:
        ended = build()(arguments, prog_name="tocsin", standalone_mode=False)
        return ended if isinstance(ended, int) else ExitCode.OK
    except CommandError as error:
        _tell(error.message)
        return error.code
    except typer.TyperException as error:
        _tell_usage(error)
        return ExitCode.USAGE
    except (KeyboardInterrupt, typer.Abort):
        return ExitCode.INTERRUPTED
    except ReaderGoneError:
        # What is still buffered goes nowhere, or Python would complain of it at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.OK


def main() -> None:
    """Run the command line of this process."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    sys.exit(run(sys.argv[1:]))


def _tell_usage(error: typer.TyperException) -> None:
    context = getattr(error, "ctx", None)
    told = error.format_message()
    _tell(told)
    if context is not None and "\n" not in told:
        _tell(f"Help: {context.command_path} --help")


def _tell(text: str) -> None:
    print(text, file=sys.stderr)  # noqa: T201 - this is the command line
