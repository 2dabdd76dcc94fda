"""Which sender sends for a channel."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tocsin.notify.channels.alertmanager import AlertmanagerSender
from tocsin.notify.channels.apprise import AppriseSender
from tocsin.notify.channels.console import ConsoleSender
from tocsin.notify.channels.discord import DiscordSender
from tocsin.notify.channels.gotify import GotifySender
from tocsin.notify.channels.healthchecks import HealthchecksSender
from tocsin.notify.channels.http import GuardedHttp
from tocsin.notify.channels.ntfy import NtfySender
from tocsin.notify.channels.pagerduty import PagerDutySender
from tocsin.notify.channels.slack import SlackSender
from tocsin.notify.channels.teams import TeamsSender
from tocsin.notify.channels.telegram import TelegramSender
from tocsin.notify.channels.webhook import WebhookSender
from tocsin.notify.domain.channel import ChannelType

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable

    from tocsin.common.clock import Clock
    from tocsin.notify.channels.address_guard import Network
    from tocsin.notify.channels.base import Sender
    from tocsin.notify.domain.channel import Channel, Secrets
    from tocsin.notify.domain.delivery import Receipt
    from tocsin.notify.domain.notice import Message


class Senders:
    """One sender for each type of channel.

    `allowed_networks` may be dialled although they are not public. `tls` verifies servers; the
    default trusts what the system trusts (OpenSSL's SSL_CERT_FILE and SSL_CERT_DIR are heeded).
    `console` replaces the sender that writes to standard output.
    """

    def __init__(
        self,
        allowed_networks: Iterable[Network] = (),
        *,
        clock: Clock,
        tls: ssl.SSLContext | None = None,
        console: Sender | None = None,
    ) -> None:
        allowed = tuple(allowed_networks)
        http = GuardedHttp(allowed, clock=clock, tls=tls)
        self._senders: dict[ChannelType, Sender] = {
            ChannelType.WEBHOOK: WebhookSender(http, clock=clock),
            ChannelType.EMAIL: _Later(partial(_email, allowed, clock, tls)),
            ChannelType.CONSOLE: console or ConsoleSender(),
            ChannelType.NTFY: NtfySender(http),
            ChannelType.SLACK: SlackSender(http),
            ChannelType.DISCORD: DiscordSender(http),
            ChannelType.TEAMS: TeamsSender(http),
            ChannelType.TELEGRAM: TelegramSender(http),
            ChannelType.GOTIFY: GotifySender(http),
            ChannelType.PAGERDUTY: PagerDutySender(http),
            ChannelType.HEALTHCHECKS: HealthchecksSender(http),
            ChannelType.ALERTMANAGER: AlertmanagerSender(http),
            ChannelType.APPRISE: AppriseSender(),
        }

    def of(self, channel_type: ChannelType) -> Sender:
        """Return the sender for channels of this type."""
        return self._senders[channel_type]

    async def close(self) -> None:
        """Close all senders."""
        for sender in self._senders.values():
            await sender.close()


class _Later:
    """A sender that is made with its first message: what it loads costs memory."""

    def __init__(self, make: Callable[[], Sender]) -> None:
        self._make = make
        self._sender: Sender | None = None

    async def send(self, message: Message, channel: Channel, secrets: Secrets) -> Receipt:
        if self._sender is None:
            self._sender = self._make()
        return await self._sender.send(message, channel, secrets)

    async def close(self) -> None:
        if self._sender is not None:
            await self._sender.close()


def _email(allowed: tuple[Network, ...], clock: Clock, tls: ssl.SSLContext | None) -> Sender:
    from tocsin.notify.channels.email import EmailSender

    return EmailSender(allowed, clock=clock, tls=tls)
