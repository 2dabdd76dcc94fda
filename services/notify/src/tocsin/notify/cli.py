"""The command `tocsin-notify`."""

from __future__ import annotations

import asyncio
import base64
import secrets
from importlib.metadata import version
from typing import Annotated

import typer

from tocsin.common.commandline import collect_garbage_seldom, problems_told
from tocsin.common.config import load_settings, setting_rows
from tocsin.common.lifecycle import run_until_signal
from tocsin.common.logs import configure_logs
from tocsin.common.postgres.preparation import prepare
from tocsin.notify.app import MIGRATIONS, NotifyApp
from tocsin.notify.config import KEY_BYTES, DatabaseSettings, NotifySettings

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

    Then finish what is being sent, and exit.
    """
    with problems_told(PROGRAM):
        settings = load_settings(NotifySettings)
        configure_logs(PROGRAM, level=settings.log_level)
        collect_garbage_seldom()
        asyncio.run(_serve(settings))


@cli.command("migrate")
def migrate_database() -> None:
    """Bring the schema of the database up to date, and exit."""
    with problems_told(PROGRAM):
        asyncio.run(_migrate(load_settings(DatabaseSettings)))
    typer.echo("The schema is up to date.")


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
    await run_until_signal(NotifyApp(settings))


async def _migrate(settings: DatabaseSettings) -> None:
    url = settings.database_url.get_secret_value()
    await prepare(url, MIGRATIONS, patience=settings.database_wait)
