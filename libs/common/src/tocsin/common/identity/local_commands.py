"""Commands on the server itself, straight to its database: how the first token is made."""

import asyncio
import getpass
import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from tocsin.common.clock import SystemClock
from tocsin.common.commandline import problems_told
from tocsin.common.config import ServiceSettings, load_settings, variable
from tocsin.common.errors import Violations
from tocsin.common.identity.credentials import CredentialKind
from tocsin.common.identity.grants import Grant, check_grant
from tocsin.common.identity.roles import Role
from tocsin.common.identity.store import CredentialStore
from tocsin.common.postgres.access import DatabaseAccess
from tocsin.common.postgres.engine import Database
from tocsin.common.postgres.preparation import prepare

_T = TypeVar("_T")

Settings = Callable[[], DatabaseAccess]

InsecureDevOption = Annotated[
    bool,
    typer.Option(
        "--insecure-dev",
        help="Let everybody do everything, without any proof. Only on loopback, to try things out.",
    ),
]


def let_everybody_in(settings: type[ServiceSettings], insecure_dev: bool) -> None:
    """Do what `--insecure-dev` says, also for the processes that this one starts."""
    if insecure_dev:
        os.environ[variable(settings, "insecure_dev")] = "true"


def token_commands(program: str, scripts: Path, settings: Settings) -> typer.Typer:
    """Return the command `token` of a service. `scripts` are its migrations."""
    commands = typer.Typer(
        help="Tokens, made on the server itself. `tocsin token` makes more of them from elsewhere.",
        no_args_is_help=True,
    )

    @commands.command("create")
    def create(
        name: Annotated[str, typer.Argument(metavar="NAME", help="Who bears it.")],
        role: Annotated[
            list[Role], typer.Option("--role", help="What it may do. May be repeated.")
        ],
        host: Annotated[
            list[str] | None,
            typer.Option("--host", help="A host that it may speak of. May be repeated."),
        ] = None,
        days: Annotated[
            float | None,
            typer.Option("--days", min=0, max=36_500, help="For how long. Unset: for ever."),
        ] = None,
    ) -> None:
        """Make a token, and print it: it is shown only now.

        It brings the schema of the database up to date first. A service that runs knows the
        token within 2 s.
        """
        with problems_told(program):
            grant = _read_grant(name, role, host or (), days)
            actor, method = f"local:{_login()}", f"{program} token create"

            async def make(store: CredentialStore) -> str:
                return (await store.create_token(grant, actor, method))[1]

            typer.echo(asyncio.run(_with_store(program, settings(), scripts, make)))

    return commands


def settings_of(cls: type[ServiceSettings]) -> Settings:
    """Return what reads the settings of a service when a command needs them."""

    def read() -> DatabaseAccess:
        return load_settings(cls)  # type: ignore[return-value]  # a service has a database

    return read


async def _with_store(
    program: str,
    settings: DatabaseAccess,
    scripts: Path,
    ask: Callable[[CredentialStore], Awaitable[_T]],
) -> _T:
    await prepare(settings.direct_url, scripts, patience=settings.database_wait)
    database = Database(settings.direct_url, application_name=f"{program} token", pool_size=1)
    try:
        return await ask(CredentialStore(database, SystemClock()))
    finally:
        await database.close()


def _read_grant(
    name: str, roles: list[Role], hosts: list[str] | tuple[()], days: float | None
) -> Grant:
    now = datetime.now(UTC)
    expire_time = None if days is None else now + timedelta(days=days)
    grant = Grant(name, frozenset(roles), frozenset(hosts), expire_time)
    found = Violations()
    check_grant(found, grant, CredentialKind.TOKEN, now)
    found.raise_if_any()
    return grant


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
