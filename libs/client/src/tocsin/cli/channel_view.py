"""Channels as people read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from tocsin.api.notify.v1.channel_pb2 import EmailSecurity
from tocsin.cli.names import short_name
from tocsin.cli.references import short_id
from tocsin.cli.times import moment_of, stamp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tocsin.api.notify.v1.channel_pb2 import Channel
    from tocsin.cli.grid import Cell

CHANNEL_HEADINGS = ("ID", "NAME", "TYPE", "STATE", "TO")


def channel_type(channel: Channel) -> str:
    """Return `webhook`, `email`, `slack` or the like; `unknown` for one of a newer server."""
    return channel.WhichOneof("config") or "unknown"


def channel_row(channel: Channel) -> list[Cell]:
    """Return the row of a channel under CHANNEL_HEADINGS."""
    return [
        short_id(channel.channel_id),
        channel.display_name,
        channel_type(channel),
        _state(channel),
        _target(channel),
    ]


def channel_fields(channel: Channel) -> Iterator[tuple[str, str | Text]]:
    """Yield what there is to tell about a channel, by name."""
    yield "channel", channel.channel_id
    yield "name", channel.display_name
    yield "type", channel_type(channel)
    yield "state", _state(channel)
    yield "to", _target(channel)
    if channel.HasField("email"):
        mail = channel.email
        yield "from", mail.from_address
        security = short_name(EmailSecurity, mail.security)
        yield "server", f"{mail.smtp_host}:{mail.smtp_port}, {security}"
        yield "login", mail.username + (" with a password" if mail.password_set else "")
    if channel.HasField("rate_limit"):
        yield "rate limit", _rate_limit(channel)
    if channel.webhook.HasField("previous_secret_expire_time"):
        expiry = moment_of(channel.webhook.previous_secret_expire_time)
        yield "former secret", f"signs too until {stamp(expiry)}"
    yield "created", stamp(moment_of(channel.create_time))
    yield "changed", stamp(moment_of(channel.update_time))


def _state(channel: Channel) -> Text:
    if channel.enabled:
        return Text("enabled", style="green")
    reason = f": {channel.disabled_reason}" if channel.disabled_reason else ""
    return Text(f"disabled{reason}", style="yellow")


def _rate_limit(channel: Channel) -> str:
    limit = channel.rate_limit
    if not limit.burst:
        return "none"
    period = limit.refill_period.ToTimedelta().total_seconds()
    return f"{limit.burst:,} at once, and one more each {period:g} s"


def _target(channel: Channel) -> str:
    return _TARGETS.get(channel_type(channel), _secret)(channel)


def _secret(_: Channel) -> str:
    return "(secret)"


def _chat(channel: Channel) -> str:
    thread = channel.telegram.message_thread_id
    return channel.telegram.chat_id + (f", topic {thread}" if thread else "")


_TARGETS: Mapping[str, Callable[[Channel], str]] = {
    "webhook": lambda channel: channel.webhook.url,
    "email": lambda channel: ", ".join(channel.email.to_addresses),
    "console": lambda _: "standard output of tocsin-notify",
    "ntfy": lambda channel: f"{channel.ntfy.topic} at {channel.ntfy.server_url or 'ntfy.sh'}",
    "telegram": _chat,
    "gotify": lambda channel: channel.gotify.server_url,
    "alertmanager": lambda channel: channel.alertmanager.url,
    "apprise": lambda channel: f"Apprise URLs: {channel.apprise.url_count}",
}
