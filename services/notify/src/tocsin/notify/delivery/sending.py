"""One attempt: a claimed delivery in, a receipt out."""

from __future__ import annotations

import asyncio
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

from tocsin.common.errors import NotFoundError, TocsinError
from tocsin.notify.channels.base import without_secrets
from tocsin.notify.domain.delivery import AttemptOutcome, Receipt
from tocsin.notify.store.sealing import SecretsUnreadableError

if TYPE_CHECKING:
    from datetime import timedelta
    from uuid import UUID

    from tocsin.notify.channels.registry import Senders
    from tocsin.notify.delivery.queue import Claim
    from tocsin.notify.domain.channel import Channel, Secrets
    from tocsin.notify.domain.notice import Message
    from tocsin.notify.store.channels import ChannelStore

_log = structlog.get_logger(__name__)


class ChannelSending:
    """Makes attempts for one channel, with the configuration that it has at that moment.

    `limit` is how long an attempt may take; the senders' own limits come first.
    """

    def __init__(
        self, channel_id: UUID, *, channels: ChannelStore, senders: Senders, limit: timedelta
    ) -> None:
        self._channel_id = channel_id
        self._channels = channels
        self._senders = senders
        self._limit = limit
        self._current: tuple[Channel, Secrets] | None = None

    async def warm_up(self) -> None:
        """Read the configuration once before the first claim.

        Raises UnavailableError: without a database nothing should be claimed, as an attempt that
        ends before it began would be counted.
        """
        if self._current is None:
            with suppress(NotFoundError, SecretsUnreadableError):  # told by the attempts
                await self._read()

    async def attempt(self, claim: Claim) -> Receipt:
        """Send what was claimed and say what that met. Raises nothing but CancelledError."""
        if claim.message is None:
            return Receipt(AttemptOutcome.REFUSED, detail="The stored event cannot be read.")
        try:
            channel, secrets = await self._configuration(claim.channel_version)
        except (TocsinError, SecretsUnreadableError) as error:
            return Receipt(AttemptOutcome.RETRY, detail=str(error))
        return await self._send(claim.message, channel, secrets)

    async def _configuration(self, version: int) -> tuple[Channel, Secrets]:
        """Return the channel and its secrets, read again only when the channel has changed."""
        if self._current is None or self._current[0].version != version:
            return await self._read()
        return self._current

    async def _read(self) -> tuple[Channel, Secrets]:
        self._current = await self._channels.get_opened(self._channel_id)
        return self._current

    async def _send(self, message: Message, channel: Channel, secrets: Secrets) -> Receipt:
        try:
            async with asyncio.timeout(self._limit.total_seconds()):
                return await self._senders.of(channel.type).send(message, channel, secrets)
        except TimeoutError:
            seconds = self._limit.total_seconds()
            return Receipt(AttemptOutcome.AMBIGUOUS, detail=f"No end within {seconds:g} s.")
        except Exception:  # noqa: BLE001 - a bug in a sender must not end the worker
            told = without_secrets(traceback.format_exc(), secrets)
            _log.error("sender_failed", channel_id=str(self._channel_id), traceback=told)
            return Receipt(AttemptOutcome.AMBIGUOUS, detail="The sender failed; see the log.")
