"""The command `tocsin-alert`."""

from __future__ import annotations

import tocsin.common.lean  # noqa: F401 - before anything else

# isort: split
import asyncio
import sys
from functools import partial
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from tocsin.alert.config import MIGRATIONS, AlertSettings
from tocsin.alert.eventlog import identity, log
from tocsin.common.commandline import collect_garbage_seldom, problems_told, run
from tocsin.common.config import load_settings, setting_rows
from tocsin.common.deployment_commands import PhaseOption, tell_health
from tocsin.common.identity.local_commands import (
    InsecureDevOption,
    let_everybody_in,
    settings_of,
    token_commands,
)
from tocsin.common.ids import uuid7
from tocsin.common.lifecycle import run_until_signal
from tocsin.common.logs import configure_logs
from tocsin.common.postgres.access import prepare_for
from tocsin.common.postgres.engine import Database
from tocsin.common.postgres.migrator import migrate
from tocsin.common.postgres.patient_start import PatientStart
from tocsin.common.postgres.reachable import wait_until_reachable
from tocsin.common.workers import TetheredService, Workers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from uuid import UUID

    from tocsin.common.lifecycle import Lifecycle
    from tocsin.common.postgres.revisions import Phase

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
cli.add_typer(token_commands(PROGRAM, MIGRATIONS, settings_of(AlertSettings)), name="token")


def main() -> None:
    """Run the command."""
    cli(prog_name=PROGRAM)


def _show_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version  # which loads much

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
def serve(
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, max=64, help="How many processes serve; else as TOCSIN_ALERT_WORKERS says."
        ),
    ] = None,
    insecure_dev: InsecureDevOption = False,
) -> None:
    """Serve until SIGTERM or SIGINT.

    Then finish what was taken on, and exit.
    """
    with problems_told(PROGRAM):
        let_everybody_in(AlertSettings, insecure_dev)
        settings = load_settings(AlertSettings)
        configure_logs(PROGRAM, level=settings.log_level)
        count = workers or settings.workers
        if count == 1:
            _serve_here(settings.model_copy(update={"workers": 1}))
        else:
            asyncio.run(run_until_signal(_workers(settings, count)))


@cli.command("worker", hidden=True)
def serve_as_worker(
    listen: Annotated[str, typer.Option()], tether: Annotated[int, typer.Option()]
) -> None:
    """Serve as one of several workers: started by `serve`, and of no use otherwise."""
    with problems_told(PROGRAM):
        settings = load_settings(AlertSettings).model_copy(
            update={"listen": listen, "workers": 2, "migrate_on_start": False}
        )
        configure_logs(PROGRAM, level=settings.log_level)
        _serve_here(settings, tether)


@cli.command("migrate")
def migrate_database(phase: PhaseOption = None) -> None:
    """Bring the schema of the database up to date, and exit."""
    with problems_told(PROGRAM):
        asyncio.run(_migrate(load_settings(AlertSettings), phase))
    typer.echo("The schema is up to date.")


@cli.command()
def health() -> None:
    """Tell the health of the service that runs here with these settings.

    The exit code is 0 when it is SERVING, else 1.
    """
    with problems_told(PROGRAM):
        settings = load_settings(AlertSettings)
        tell_health(settings.health_listen or settings.listen)


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


def _serve_here(settings: AlertSettings, tether: int | None = None) -> None:
    from tocsin.alert.app import AlertApp  # much to load, and only those who serve need it

    collect_garbage_seldom()
    app: Lifecycle = PatientStart(lambda: AlertApp(settings), settings.database_wait)
    run(run_until_signal(app if tether is None else TetheredService(app, tether)))


def _workers(settings: AlertSettings, count: int) -> Workers:
    return Workers(
        count,
        settings.listen,
        [sys.executable, "-m", "tocsin.alert", "worker"],
        before=partial(prepare_for, settings, MIGRATIONS),
        grace=settings.drain,
    )


async def _migrate(settings: AlertSettings, phase: Phase | None) -> None:
    await wait_until_reachable(settings.direct_url, settings.database_wait)
    await migrate(settings.direct_url, MIGRATIONS, phase=phase)


async def _with_database(ask: Callable[[Database], Awaitable[T]]) -> T:
    settings = load_settings(AlertSettings)
    url = settings.direct_url
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
