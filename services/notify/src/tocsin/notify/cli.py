"""The command `tocsin-notify`."""

from __future__ import annotations

import tocsin.common.lean  # noqa: F401 - before anything else

# isort: split
import asyncio
import base64
import secrets
from typing import TYPE_CHECKING, Annotated

import typer

from tocsin.common.commandline import collect_garbage_seldom, problems_told, run
from tocsin.common.config import load_settings, setting_rows
from tocsin.common.deployment_commands import PhaseOption, tell_health
from tocsin.common.identity.local_commands import (
    InsecureDevOption,
    let_everybody_in,
    settings_of,
    token_commands,
)
from tocsin.common.lifecycle import run_until_signal
from tocsin.common.logs import configure_logs
from tocsin.common.postgres.migrator import migrate
from tocsin.common.postgres.patient_start import PatientStart
from tocsin.common.postgres.reachable import wait_until_reachable
from tocsin.notify.app import MIGRATIONS, NotifyApp
from tocsin.notify.config import KEY_BYTES, DatabaseSettings, NotifySettings

if TYPE_CHECKING:
    from tocsin.common.postgres.revisions import Phase

PROGRAM = "tocsin-notify"

cli = typer.Typer(
    name=PROGRAM,
    help="Makes sure that the right people hear of it. Configured by the environment: see "
    "`tocsin-notify settings`.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


cli.add_typer(token_commands(PROGRAM, MIGRATIONS, settings_of(DatabaseSettings)), name="token")


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
def serve(insecure_dev: InsecureDevOption = False) -> None:
    """Serve until SIGTERM or SIGINT.

    Then finish what is being sent, and exit.
    """
    with problems_told(PROGRAM):
        let_everybody_in(NotifySettings, insecure_dev)
        settings = load_settings(NotifySettings)
        configure_logs(PROGRAM, level=settings.log_level)
        collect_garbage_seldom()
        run(_serve(settings))


@cli.command("migrate")
def migrate_database(phase: PhaseOption = None) -> None:
    """Bring the schema of the database up to date, and exit."""
    with problems_told(PROGRAM):
        asyncio.run(_migrate(load_settings(DatabaseSettings), phase))
    typer.echo("The schema is up to date.")


@cli.command()
def health() -> None:
    """Tell the health of the service that runs here with these settings.

    The exit code is 0 when it is SERVING, else 1.
    """
    with problems_told(PROGRAM):
        settings = load_settings(NotifySettings)
        tell_health(settings.health_listen or settings.listen)


@cli.command("generate-key")
def generate_key() -> None:
    """Print a new key for TOCSIN_NOTIFY_SECRET_KEY or a TOCSIN_NOTIFY_SECRET_KEY_FILE.

    Keep it: without it the secrets of the channels cannot be opened.
    """
    typer.echo(base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode())


@cli.command("settings")
def show_settings() -> None:
    """List every setting: the variable, its default, what it means."""
    for row in setting_rows(NotifySettings):
        typer.echo(f"{row.name}={row.default}\n    {row.description}")


async def _serve(settings: NotifySettings) -> None:
    await run_until_signal(PatientStart(lambda: NotifyApp(settings), settings.database_wait))


async def _migrate(settings: DatabaseSettings, phase: Phase | None) -> None:
    await wait_until_reachable(settings.direct_url, settings.database_wait)
    await migrate(settings.direct_url, MIGRATIONS, phase=phase)
