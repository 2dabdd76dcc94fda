"""The command `tocsin-alert`."""

from __future__ import annotations

import asyncio
from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from tocsin.alert.app import MIGRATIONS, AlertApp
from tocsin.alert.config import AlertSettings
from tocsin.alert.eventlog import identity, log
from tocsin.common.commandline import collect_garbage_seldom, problems_told
from tocsin.common.config import load_settings, setting_rows
from tocsin.common.ids import uuid7
from tocsin.common.lifecycle import run_until_signal
from tocsin.common.logs import configure_logs
from tocsin.common.postgres.engine import Database
from tocsin.common.postgres.preparation import prepare
from tocsin.common.postgres.reachable import wait_until_reachable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from uuid import UUID

T = TypeVar("T")

PROGRAM = "tocsin-alert"

cli = typer.Typer(
    name=PROGRAM,
    help="Decides what is wrong with your backups, and remembers it. Configured by the "
    "environment: see `tocsin-alert settings`.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
epoch = typer.Typer(help="The epoch: which event log this is.", no_args_is_help=True)
cli.add_typer(epoch, name="epoch")


def main() -> None:
    """Run the command."""
    cli(prog_name=PROGRAM)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"{PROGRAM} {version(PROGRAM)}")
        raise typer.Exit


@cli.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@cli.command()
def serve() -> None:
    """Serve until SIGTERM or SIGINT.

    Then finish what was taken on, and exit.
    """
    with problems_told(PROGRAM):
        settings = load_settings(AlertSettings)
        configure_logs(PROGRAM, level=settings.log_level)
        collect_garbage_seldom()
        asyncio.run(run_until_signal(AlertApp(settings)))


@cli.command("migrate")
def migrate_database() -> None:
    """Bring the schema of the database up to date, and exit."""
    with problems_told(PROGRAM):
        asyncio.run(_migrate(load_settings(AlertSettings)))
    typer.echo("The schema is up to date.")


@cli.command("settings")
def show_settings() -> None:
    """List every setting: the variable, its default, what it means."""
    for row in setting_rows(AlertSettings):
        typer.echo(f"{row.name}={row.default}\n    {row.description}")


@epoch.command("show")
def show_epoch() -> None:
    """Show the epoch and what the log holds."""
    with problems_told(PROGRAM):
        bounds = asyncio.run(_with_database(_bounds))
    typer.echo(f"epoch {bounds.epoch}\noldest revision {bounds.oldest}\nhead {bounds.head}")


@epoch.command("renew")
def renew_epoch() -> None:
    """Give the log a new epoch.

    Every subscriber then takes a snapshot.

    For a database that was restored by copying its files, which nothing else can tell from the
    former one. After any other restore the service finds out by itself.
    """
    with problems_told(PROGRAM):
        renewed = asyncio.run(_with_database(_renew))
    typer.echo(f"epoch {renewed}")


async def _migrate(settings: AlertSettings) -> None:
    url = settings.database_url.get_secret_value()
    await prepare(url, MIGRATIONS, patience=settings.database_wait)


async def _with_database(ask: Callable[[Database], Awaitable[T]]) -> T:
    settings = load_settings(AlertSettings)
    url = settings.database_url.get_secret_value()
    await wait_until_reachable(url, settings.database_wait)
    database = Database(url, application_name="tocsin-alert epoch")
    try:
        return await ask(database)
    finally:
        await database.close()


async def _bounds(database: Database) -> log.Bounds:
    async with database.connection() as connection:
        return await log.bounds(connection)


async def _renew(database: Database) -> UUID:
    return await identity.renew(database, uuid7)
