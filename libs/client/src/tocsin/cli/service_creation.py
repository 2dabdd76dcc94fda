"""`tocsin channel create …` for channels by the services of others: chats, pagers, Alertmanager."""

from typing import Annotated

import typer

from tocsin.api.notify.v1.channel_pb2 import (
    AlertmanagerConfig,
    AppriseConfig,
    Channel,
    DiscordConfig,
    GotifyConfig,
    HealthchecksConfig,
    NtfyConfig,
    PagerDutyConfig,
    SlackConfig,
    TeamsConfig,
    TelegramConfig,
)
from tocsin.cli.command import command
from tocsin.cli.creating import create
from tocsin.cli.secrets_given import read_secret, read_secrets
from tocsin.cli.session import Session

Name = Annotated[str, typer.Argument(metavar="NAME", help="The name people know it by.")]
Disabled = Annotated[bool, typer.Option("--disabled", help="Do not send to it yet.")]
UrlFile = Annotated[
    str,
    typer.Option(
        "--url-file", metavar="FILE", help="Holds the URL, which is a secret; - for standard input."
    ),
]
UrlsFile = Annotated[
    str,
    typer.Option(
        "--urls-file", metavar="FILE", help="Holds Apprise URLs, one a line; - for standard input."
    ),
]
TokenFile = Annotated[
    str,
    typer.Option("--token-file", metavar="FILE", help="Holds the token; - for standard input."),
]
KeyFile = Annotated[
    str,
    typer.Option("--key-file", metavar="FILE", help="Holds the routing key; - for standard input."),
]
PasswordFile = Annotated[
    str,
    typer.Option(
        "--password-file", metavar="FILE", help="Holds the password; - for standard input."
    ),
]
ServerUrl = Annotated[str, typer.Option("--server-url", metavar="URL", help="The server.")]
Topic = Annotated[str, typer.Option("--topic", metavar="TOPIC", help="The topic.")]
Chat = Annotated[
    str, typer.Option("--chat", metavar="CHAT", help="The chat's number, or its public @name.")
]
Thread = Annotated[
    int, typer.Option("--thread", metavar="NUMBER", min=0, help="The topic inside of a forum.")
]
ApiUrl = Annotated[
    str, typer.Option("--api-url", metavar="URL", help="A Bot API server of your own.")
]
EventsUrl = Annotated[
    str, typer.Option("--events-url", metavar="URL", help="Where events go, unless it is usual.")
]
Url = Annotated[str, typer.Option("--url", metavar="URL", help="Its address.")]
Username = Annotated[str, typer.Option("--username", metavar="NAME", help="For the login.")]

_FIELDS = {
    "ntfy.token": "--token-file",
    "slack.webhook_url": "--url-file",
    "discord.webhook_url": "--url-file",
    "teams.webhook_url": "--url-file",
    "healthchecks.ping_url": "--url-file",
    "telegram.bot_token": "--token-file",
    "telegram.chat_id": "--chat",
    "telegram.message_thread_id": "--thread",
    "gotify.token": "--token-file",
    "pagerduty.routing_key": "--key-file",
    "alertmanager.password": "--password-file",
    "alertmanager.bearer_token": "--token-file",
    "apprise.urls": "--urls-file",
} | {
    field: f"--{field.partition('.')[2].replace('_', '-')}"
    for field in (
        "ntfy.server_url",
        "ntfy.topic",
        "telegram.api_url",
        "gotify.server_url",
        "pagerduty.events_url",
        "alertmanager.url",
        "alertmanager.username",
    )
}


def add_to(group: typer.Typer) -> None:
    """Add the commands."""
    for function in (
        ntfy,
        slack,
        discord,
        teams,
        telegram,
        gotify,
        pagerduty,
        healthchecks,
        alertmanager,
        apprise,
    ):
        command(group, function.__name__, **_FIELDS)(function)


def ntfy(
    session: Session,
    name: Name,
    *,
    topic: Topic,
    server_url: ServerUrl = "",
    token_file: TokenFile = "",
    disabled: Disabled = False,
) -> None:
    """Create a channel that sends push messages by ntfy.sh, or a server of your own."""
    token = read_secret("--token-file", token_file)
    config = NtfyConfig(topic=topic, server_url=server_url, token=token)
    create(session, Channel(display_name=name, enabled=not disabled, ntfy=config))


def slack(session: Session, name: Name, *, url_file: UrlFile, disabled: Disabled = False) -> None:
    """Create a channel that writes to Slack by an incoming webhook."""
    config = SlackConfig(webhook_url=read_secret("--url-file", url_file))
    create(session, Channel(display_name=name, enabled=not disabled, slack=config))


def discord(session: Session, name: Name, *, url_file: UrlFile, disabled: Disabled = False) -> None:
    """Create a channel that writes to Discord by a webhook."""
    config = DiscordConfig(webhook_url=read_secret("--url-file", url_file))
    create(session, Channel(display_name=name, enabled=not disabled, discord=config))


def teams(session: Session, name: Name, *, url_file: UrlFile, disabled: Disabled = False) -> None:
    """Create a channel that writes to Microsoft Teams by a workflow."""
    config = TeamsConfig(webhook_url=read_secret("--url-file", url_file))
    create(session, Channel(display_name=name, enabled=not disabled, teams=config))


def telegram(
    session: Session,
    name: Name,
    *,
    chat: Chat,
    token_file: TokenFile,
    thread: Thread = 0,
    api_url: ApiUrl = "",
    disabled: Disabled = False,
) -> None:
    """Create a channel by which a Telegram bot writes into a chat."""
    config = TelegramConfig(
        bot_token=read_secret("--token-file", token_file),
        chat_id=chat,
        message_thread_id=thread,
        api_url=api_url,
    )
    create(session, Channel(display_name=name, enabled=not disabled, telegram=config))


def gotify(
    session: Session,
    name: Name,
    *,
    server_url: ServerUrl,
    token_file: TokenFile,
    disabled: Disabled = False,
) -> None:
    """Create a channel that sends push messages by a Gotify server."""
    token = read_secret("--token-file", token_file)
    config = GotifyConfig(server_url=server_url, token=token)
    create(session, Channel(display_name=name, enabled=not disabled, gotify=config))


def pagerduty(
    session: Session,
    name: Name,
    *,
    key_file: KeyFile,
    events_url: EventsUrl = "",
    disabled: Disabled = False,
) -> None:
    """Create a channel that triggers and resolves incidents in PagerDuty."""
    key = read_secret("--key-file", key_file)
    config = PagerDutyConfig(routing_key=key, events_url=events_url)
    create(session, Channel(display_name=name, enabled=not disabled, pagerduty=config))


def healthchecks(
    session: Session, name: Name, *, url_file: UrlFile, disabled: Disabled = False
) -> None:
    """Create a channel that pings a check. Meant for a route of its own."""
    config = HealthchecksConfig(ping_url=read_secret("--url-file", url_file))
    create(session, Channel(display_name=name, enabled=not disabled, healthchecks=config))


def alertmanager(
    session: Session,
    name: Name,
    *,
    url: Url,
    username: Username = "",
    password_file: PasswordFile = "",
    token_file: TokenFile = "",
    disabled: Disabled = False,
) -> None:
    """Create a channel that hands alerts to an Alertmanager."""
    config = AlertmanagerConfig(
        url=url,
        username=username,
        password=read_secret("--password-file", password_file),
        bearer_token=read_secret("--token-file", token_file),
    )
    create(session, Channel(display_name=name, enabled=not disabled, alertmanager=config))


def apprise(
    session: Session, name: Name, *, urls_file: UrlsFile, disabled: Disabled = False
) -> None:
    """Create a channel that sends by Apprise, where that is installed."""
    config = AppriseConfig(urls=read_secrets("--urls-file", urls_file))
    create(session, Channel(display_name=name, enabled=not disabled, apprise=config))
