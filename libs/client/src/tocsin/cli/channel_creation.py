"""`tocsin channel create …`: one command per type of channel."""

from typing import Annotated

import typer

from tocsin.api.notify.v1.channel_pb2 import (
    Channel,
    ConsoleConfig,
    EmailConfig,
    EmailSecurity,
    WebhookConfig,
)
from tocsin.cli import service_creation
from tocsin.cli.command import command
from tocsin.cli.creating import create
from tocsin.cli.names import checked_name
from tocsin.cli.secrets_given import read_secret
from tocsin.cli.session import Session

Name = Annotated[str, typer.Argument(metavar="NAME", help="The name people know it by.")]
Disabled = Annotated[bool, typer.Option("--disabled", help="Do not send to it yet.")]
SecretFile = Annotated[
    str,
    typer.Option(
        "--secret-file",
        metavar="FILE",
        help="Holds the signing secret, `whsec_` and 24 to 64 bytes in base64; - for standard "
        "input. Unset: one is made, and shown once.",
    ),
]
Url = Annotated[str, typer.Option("--url", metavar="URL", help="Where the requests go.")]
SmtpHost = Annotated[str, typer.Option("--smtp-host", metavar="HOST", help="The mail server.")]
SmtpPort = Annotated[
    int,
    typer.Option(
        "--smtp-port",
        metavar="PORT",
        min=0,
        max=65_535,
        help="Its port.",
        show_default="587, 465 with tls, 25 with none",
    ),
]
Security = Annotated[
    str, typer.Option("--security", metavar="SECURITY", help="starttls, tls or none.")
]
Username = Annotated[str, typer.Option("--username", metavar="NAME", help="For SMTP AUTH.")]
PasswordFile = Annotated[
    str,
    typer.Option(
        "--password-file",
        metavar="FILE",
        help="Holds the password for SMTP AUTH; - for standard input.",
    ),
]
From = Annotated[str, typer.Option("--from", metavar="ADDRESS", help="The sender.")]
To = Annotated[
    list[str], typer.Option("--to", metavar="ADDRESS", help="Who gets it. May be repeated.")
]


def add_to(channel_group: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Create a channel.", no_args_is_help=True)
    command(group, "webhook")(webhook)
    command(group, "email")(email)
    command(group, "console")(console)
    service_creation.add_to(group)
    channel_group.add_typer(group, name="create")


def webhook(
    session: Session,
    name: Name,
    url: Url,
    secret_file: SecretFile = "",
    disabled: Disabled = False,
) -> None:
    """Create a channel that sends signed HTTP requests."""
    config = WebhookConfig(url=url, signing_secret=read_secret("--secret-file", secret_file))
    create(session, Channel(display_name=name, enabled=not disabled, webhook=config))


def email(
    session: Session,
    name: Name,
    *,
    smtp_host: SmtpHost,
    sender: From,
    to: To,
    smtp_port: SmtpPort = 0,
    security: Security = "starttls",
    username: Username = "",
    password_file: PasswordFile = "",
    disabled: Disabled = False,
) -> None:
    """Create a channel that sends e-mail. All messages about one alert make one thread."""
    config = EmailConfig(
        smtp_host=smtp_host,
        smtp_port=smtp_port,
        security=EmailSecurity.Value(
            f"EMAIL_SECURITY_{checked_name('--security', EmailSecurity, security).upper()}"
        ),
        username=username,
        password=read_secret("--password-file", password_file),
        from_address=sender,
        to_addresses=to,
    )
    create(session, Channel(display_name=name, enabled=not disabled, email=config))


def console(session: Session, name: Name, disabled: Disabled = False) -> None:
    """Create a channel that prints lines on the standard output of tocsin-notify."""
    create(session, Channel(display_name=name, enabled=not disabled, console=ConsoleConfig()))
