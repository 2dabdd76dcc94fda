"""Apprise: the long tail of services (https://github.com/caronc/apprise). An optional package.

It blocks, and says no more than whether it went well. So each attempt has a thread of its own that
nobody waits for at the end of the process, and whose log is all that can be told.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import Future
from threading import Thread
from typing import TYPE_CHECKING, Any

from tocsin.notify.channels.base import (
    SEND_SECONDS,
    ambiguous,
    delivered,
    may_pass,
    refused,
    without_secrets,
)
from tocsin.notify.channels.escape import without_mentions
from tocsin.notify.channels.forms import PEOPLE_RATE
from tocsin.notify.channels.words import words
from tocsin.notify.domain.channel import AppriseConfig, Channel, ChannelType, Secrets
from tocsin.notify.domain.channel_type import ChannelSpec, ConfigField, ConfigFieldType
from tocsin.notify.domain.notification import Severity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tocsin.notify.channels.words import Words
    from tocsin.notify.domain.delivery import Receipt
    from tocsin.notify.domain.notice import Message

SPEC = ChannelSpec(
    type=ChannelType.APPRISE,
    display_name="Apprise",
    description="One of the many services that Apprise knows, by its URL.",
    fields=(
        ConfigField(
            "urls",
            ConfigFieldType.STRING,
            "Apprise URLs. What fails at one of them is sent to all of them again.",
            required=True,
            repeated=True,
            min=1,
            max=20,
            pattern=r"[A-Za-z][-+.A-Za-z0-9]*://[^\s]+",
            secret_name="urls",  # noqa: S106 - the name of a field
        ),
    ),
    carries_digests=True,
    tracks_state=False,
    deduplicates=False,
    default_rate_limit=PEOPLE_RATE,
    package="apprise",
)

_LINES_CHARACTERS = 3_000
# Threads that hang are left behind: so many, and no more begin.
_THREADS = 32
_TYPES = {Severity.INFO: "info", Severity.WARNING: "warning", Severity.CRITICAL: "failure"}


class _UnknownUrlError(Exception):
    """Apprise knows nothing by such a URL."""


class AppriseSender:
    """Sends by Apprise. `seconds` bound an attempt for whoever waits for it."""

    def __init__(self, *, seconds: float = SEND_SECONDS) -> None:
        self._seconds = seconds
        self._running: set[Future[tuple[bool, str]]] = set()

    async def send(self, message: Message, channel: Channel, secrets: Secrets) -> Receipt:
        if not isinstance(channel.config, AppriseConfig):
            raise TypeError(f"not an Apprise channel: {channel.type}")
        self._running = {each for each in self._running if not each.done()}
        if len(self._running) >= _THREADS:
            return may_pass(f"{_THREADS} attempts still hang in Apprise; none is begun.")
        sent = _begin(words(message), secrets.urls.splitlines())
        self._running.add(sent)
        try:
            async with asyncio.timeout(self._seconds):
                went_well, said = await asyncio.wrap_future(sent)
        except TimeoutError:
            return ambiguous(f"Apprise did not come to an end within {self._seconds:g} s.")
        except ImportError:
            return may_pass("The package apprise is not installed beside tocsin-notify.")
        except _UnknownUrlError as error:
            return refused(without_secrets(str(error), secrets))
        except Exception as error:  # noqa: BLE001 - whatever a plugin of Apprise raises
            return may_pass(without_secrets(f"Apprise failed: {error}", secrets))
        said = without_secrets(said, secrets)
        return delivered(said or "Apprise says that it was sent.") if went_well else may_pass(said)

    async def close(self) -> None:
        """What still hangs ends with the process."""


def _begin(told: Words, urls: Sequence[str]) -> Future[tuple[bool, str]]:
    sent: Future[tuple[bool, str]] = Future()
    # What has begun cannot be called off.
    sent.set_running_or_notify_cancel()

    def run() -> None:
        try:
            result = _notify(told, urls)
        except Exception as error:  # noqa: BLE001 - told to whoever waits
            sent.set_exception(error)
        else:
            sent.set_result(result)

    Thread(target=run, name="apprise", daemon=True).start()
    return sent


def _notify(told: Words, urls: Sequence[str]) -> tuple[bool, str]:
    """Send, and return whether all went well and what was logged. Blocks.

    Apprise is imported here, as it takes a second and may not be there.
    """
    import apprise

    asset = apprise.AppriseAsset(
        app_id="Tocsin", app_desc="Tocsin", storage_mode="memory", secure_logging=True
    )
    services = apprise.Apprise(asset=asset)
    for number, url in enumerate(urls, 1):
        if not services.add(url):
            raise _UnknownUrlError(
                f"URL {number} of {len(urls)} is none that Apprise knows, or is incomplete."
            )
    lines: list[str] = []

    def note(entry: Any, _: object) -> None:
        lines.append(entry.message)

    went_well = services.notify(
        title=without_mentions(told.title),
        body="\n".join(told.fitted(_LINES_CHARACTERS, without_mentions)) or told.title,
        notify_type="success" if told.is_over else _TYPES[told.severity],
        body_format="text",
        interpret_escapes=False,
        log_callback=note,
        log_level=logging.WARNING,
    )
    return bool(went_well), "; ".join(lines) or "Apprise says that it was not sent."
