"""`tocsin channel …`: the ways to tell people."""

import sys
from typing import Annotated

import typer

from tocsin.api.notify.v1.channel_pb2 import Channel, EmailSecurity
from tocsin.api.notify.v1.delivery_pb2 import AttemptOutcome
from tocsin.cli import channel_creation, channel_health, options, references
from tocsin.cli import channel_creation as creation
from tocsin.cli.channel_settings import WRITTEN_AS, fill
from tocsin.cli.channel_view import CHANNEL_HEADINGS, channel_fields, channel_row, channel_type
from tocsin.cli.command import command
from tocsin.cli.delivery_view import outcome_name
from tocsin.cli.exits import CommandError, wrong_usage
from tocsin.cli.names import checked_name
from tocsin.cli.output import as_json
from tocsin.cli.secrets_given import new_signing_secret, read_secret
from tocsin.cli.session import Session
from tocsin.cli.text import one_line
from tocsin.cli.times import moment_of, stamp

_PAGE = 1_000

Settings = Annotated[
    list[str],
    typer.Option(
        "--set", metavar="FIELD=VALUE", help="A field of its type: topic=nights. May be repeated."
    ),
]
Secrets = Annotated[
    list[str],
    typer.Option(
        "--secret",
        metavar="FIELD=FILE",
        help="A secret of its type, from a file: token=FILE. `token=` takes it away.",
    ),
]
RateLimit = Annotated[
    str,
    typer.Option(
        "--rate-limit",
        metavar="LIMIT",
        help="10/30s: 10 messages at once, and one more each 30 s. Or none, or default.",
    ),
]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Keep the ways to tell people.", no_args_is_help=True)
    channel_creation.add_to(group)
    for name, function in (
        ("list", list_channels),
        ("show", show),
        ("update", update),
        ("enable", enable),
        ("disable", disable),
        ("delete", delete),
        ("test", test),
        ("rotate-secret", rotate_secret),
    ):
        command(group, name, **WRITTEN_AS)(function)
    channel_health.add_to(group)
    app.add_typer(group, name="channel")


def list_channels(session: Session) -> None:
    """List the channels by name."""
    channels = list(session.notify.list_channels(page_size=_PAGE))
    if session.output.json_wanted:
        session.output.document({"channels": [as_json(channel) for channel in channels]})
        return
    if not channels:
        session.output.line("No channels: nobody is told. Create one with `tocsin channel create`.")
        return
    session.output.table(CHANNEL_HEADINGS, [channel_row(channel) for channel in channels])


def show(session: Session, channel: options.ChannelRef) -> None:
    """Show one channel, without its secrets."""
    _tell(session, session.notify.get_channel(references.channel_id(session, channel)))


def update(
    session: Session,
    channel: options.ChannelRef,
    *,
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="A new name.")] = "",
    url: creation.Url = "",
    smtp_host: creation.SmtpHost = "",
    smtp_port: Annotated[
        int | None, typer.Option("--smtp-port", metavar="PORT", min=0, max=65_535, help="Its port.")
    ] = None,
    security: creation.Security = "",
    username: creation.Username = "",
    password_file: creation.PasswordFile = "",
    sender: creation.From = "",
    to: creation.To = [],  # noqa: B006 - typer never changes it
    settings: Settings = [],  # noqa: B006
    secrets: Secrets = [],  # noqa: B006
    rate_limit: RateLimit = "",
) -> None:
    """Change what is given, and leave the rest."""
    given = {
        "display_name": name,
        "webhook.url": url,
        "email.smtp_host": smtp_host,
        "email.smtp_port": smtp_port,
        "email.security": _security(security),
        "email.username": username,
        "email.password": read_secret("--password-file", password_file),
        "email.from_address": sender,
        "email.to_addresses": to,
    }
    fields = [path for path, value in given.items() if value not in ("", None, [])]
    if not (fields or settings or secrets or rate_limit):
        raise wrong_usage("Name what to change: tocsin channel update --help lists it.")
    present = session.notify.get_channel(references.channel_id(session, channel))
    wanted = Channel(channel_id=present.channel_id, version=present.version)
    for path in fields:
        _set(wanted, present, path, given[path])
    more = fill(wanted, present, settings=settings, secrets=secrets, rate_limit=rate_limit)
    fields += list(more)
    _tell(session, session.notify.update_channel(wanted, fields))


def enable(session: Session, channel: options.ChannelRef) -> None:
    """Send to it from now on."""
    _tell(session, _switch(session, channel, on=True))


def disable(session: Session, channel: options.ChannelRef) -> None:
    """Send nothing to it until it is enabled. What is due waits."""
    _tell(session, _switch(session, channel, on=False))


def delete(
    session: Session,
    channel: options.ChannelRef,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete it. What it has not delivered ends as dead; the record of what it has stays."""
    present = session.notify.get_channel(references.channel_id(session, channel))
    if not yes:
        _ask(f"Delete the {channel_type(present)} channel {one_line(present.display_name)}?")
    answer = session.notify.delete_channel(present.channel_id)
    if session.output.json_wanted:
        session.output.document(answer)
        return
    count = answer.dead_deliveries
    are = "delivery is" if count == 1 else "deliveries are"
    dead = f" {count} {are} dead." if count else ""
    session.output.line(f"Deleted {one_line(present.display_name)}.{dead}")


def test(session: Session, channel: options.ChannelRef) -> None:
    """Send a test message now, and tell what the far side answered. Exit code 1 if it failed."""
    attempt = session.notify.test_channel(references.channel_id(session, channel))
    delivered = attempt.outcome == AttemptOutcome.ATTEMPT_OUTCOME_DELIVERED
    status = f"status {attempt.status_code}" if attempt.status_code else ""
    told = ", ".join(part for part in (status, one_line(attempt.detail)) if part)
    if session.output.json_wanted:
        session.output.document({"attempt": as_json(attempt)})
    elif delivered:
        session.output.line(f"The test message was delivered: {told or 'no answer but an OK'}")
    if not delivered:
        raise CommandError(f"The test message was not delivered: {told or outcome_name(attempt)}")


def rotate_secret(
    session: Session, channel: options.ChannelRef, secret_file: creation.SecretFile = ""
) -> None:
    """Give a webhook a new signing secret. The former one signs too for 24 hours."""
    secret = read_secret("--secret-file", secret_file)
    present = session.notify.get_channel(references.channel_id(session, channel))
    if not present.HasField("webhook"):
        raise _other_type(present, "only webhooks have a signing secret")
    wanted = Channel(channel_id=present.channel_id)
    wanted.webhook.signing_secret = secret or new_signing_secret()
    changed = session.notify.update_channel(wanted, ["webhook.signing_secret"])
    shown = "" if secret else wanted.webhook.signing_secret
    if session.output.json_wanted:
        session.output.document({"channel": as_json(changed), "generated_signing_secret": shown})
        return
    until = "Changed. The former secret could not be opened, and signs no more."
    if changed.webhook.HasField("previous_secret_expire_time"):
        expiry = moment_of(changed.webhook.previous_secret_expire_time)
        until = f"Changed. The former secret signs too until {stamp(expiry)}."
    session.output.line(until)
    if shown:
        session.output.line("The new signing secret, shown now and never again:")
        session.output.line(f"  {shown}")


def _switch(session: Session, channel: str, *, on: bool) -> Channel:
    wanted = Channel(channel_id=references.channel_id(session, channel), enabled=on)
    return session.notify.update_channel(wanted, ["enabled"])


def _tell(session: Session, channel: Channel) -> None:
    if session.output.json_wanted:
        session.output.document({"channel": as_json(channel)})
        return
    session.output.fields(channel_fields(channel))


def _security(given: str) -> int | None:
    if not given:
        return None
    name = checked_name("--security", EmailSecurity, given)
    return EmailSecurity.Value(f"EMAIL_SECURITY_{name.upper()}")


def _set(wanted: Channel, present: Channel, path: str, value: object) -> None:
    config, _, field = path.rpartition(".")
    if config and config != channel_type(present):
        option = {"from_address": "from", "to_addresses": "to"}.get(field, field.replace("_", "-"))
        raise _other_type(present, f"--{option} does not belong to it")
    target = getattr(wanted, config) if config else wanted
    if isinstance(value, list):
        getattr(target, field).extend(value)
    else:
        setattr(target, field, value)


def _other_type(channel: Channel, so: str) -> CommandError:
    name = one_line(channel.display_name)
    return CommandError(f"{name} is a channel of type {channel_type(channel)}: {so}.")


def _ask(question: str) -> None:
    if not sys.stdin.isatty():
        raise wrong_usage("Nobody can be asked here whether to delete it; add --yes.")
    typer.confirm(question, abort=True, err=True)
