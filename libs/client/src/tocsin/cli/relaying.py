"""`tocsin relay nats`: hands the event log on to NATS JetStream, for very many subscribers."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Annotated

import typer

from tocsin.cli.command import command
from tocsin.cli.exits import CommandError
from tocsin.cli.nats_servers import NATS_PORT_HERE, bears_secret, nats_servers
from tocsin.cli.session import Session
from tocsin.common.log_secrets import without_secrets
from tocsin.common.rpc.channel import open_channel
from tocsin.common.rpc.client_credentials import ClientCredentials

_MISSING = (
    "This needs the Python package nats-py, which is not installed. Install requirements/relay.txt "
    "of Tocsin beside it, or nats-py."
)

Server = Annotated[
    list[str],
    typer.Option(
        "--server",
        metavar="URL",
        help="A server of the NATS cluster. Repeatable; else as TOCSIN_NATS_SERVER says, or the "
        "file that TOCSIN_NATS_SERVER_FILE names (for a URL with a password), else "
        f"{NATS_PORT_HERE}.",
    ),
]


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    relay = typer.Typer(help="Hand the event log on to a message broker.")
    command(relay, "nats")(relay_to_nats)
    app.add_typer(relay, name="relay", no_args_is_help=True)


def relay_to_nats(
    session: Session,
    *,
    server: Server = [],  # noqa: B006 - typer never changes it
    stream: Annotated[
        str, typer.Option("--stream", metavar="NAME", help="The stream, made when it is missing.")
    ] = "tocsin",
    subject: Annotated[
        str,
        typer.Option(
            "--subject",
            metavar="SUBJECT",
            help="What the subjects begin with; the kind and the id of the alert follow.",
        ),
    ] = "tocsin.events",
    credentials: Annotated[
        str,
        typer.Option("--credentials", metavar="FILE", help="The user's credentials for NATS."),
    ] = "",
    most_messages: Annotated[
        int,
        typer.Option(
            "--most-messages",
            min=1_000,
            metavar="NUMBER",
            help="How many messages a new stream keeps; the oldest go first.",
        ),
    ] = 1_000_000,
) -> None:
    """Append every event to a stream of JetStream, each once, until Ctrl-C.

    It resumes after the last message of the stream, and needs no memory of its own. A second one
    on the same stream stands by. Nothing else may write to the stream.
    """
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    servers = nats_servers(server)
    _tell_if_seen(session, server)
    session.alerts.list_alerts_page(page_size=1)  # fails at once when nobody is there
    asyncio.run(
        _relay(
            session,
            servers,
            credentials=credentials,
            name=stream,
            subject=subject,
            most_messages=most_messages,
        )
    )


def _tell_if_seen(session: Session, option: list[str]) -> None:
    if any(map(bears_secret, option)):
        session.output.remark(
            "Everybody on this machine can see the password in --server (ps): put the URL into a "
            "file, and name that by TOCSIN_NATS_SERVER_FILE."
        )


async def _relay(
    session: Session,
    servers: Sequence[str],
    *,
    credentials: str,
    name: str,
    subject: str,
    most_messages: int,
) -> None:
    try:
        import nats

        from tocsin.client.nats_relay import NatsRelay
        from tocsin.client.nats_stream import AlertStream, StreamUnusableError
    except ModuleNotFoundError:
        raise CommandError(_MISSING) from None
    proof = ClientCredentials.from_environment("ALERT")
    connection = await nats.connect(
        list(servers),
        name="tocsin relay",
        user_credentials=credentials or None,
        max_reconnect_attempts=-1,
        error_cb=_tell,
    )
    try:
        async with open_channel(session.alert_target, proof) as alerts:
            stream = AlertStream(connection, name, subject, most_messages=most_messages)
            session.output.remark(f"Relaying {session.alert_target} to the stream {name}")
            await NatsRelay(alerts, stream).run()
    except StreamUnusableError as error:
        raise CommandError(str(error)) from None
    finally:
        await connection.close()


async def _tell(error: Exception) -> None:
    told = without_secrets(str(error)) or type(error).__name__
    logging.getLogger("nats").warning("NATS: %s", told)
