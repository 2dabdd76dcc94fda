"""Healthchecks: pings of one check (https://healthchecks.io/docs/http_api/)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from tocsin.notify.channels.base import may_pass, refused
from tocsin.notify.channels.body import body
from tocsin.notify.channels.forms import secret_url
from tocsin.notify.channels.http import HttpRequest
from tocsin.notify.channels.judging import judge_by_status
from tocsin.notify.channels.standing import Standing, subject_of
from tocsin.notify.domain.channel import Channel, ChannelType, HealthchecksConfig, Secrets
from tocsin.notify.domain.channel_type import ChannelSpec
from tocsin.notify.domain.delivery import AttemptOutcome
from tocsin.notify.domain.notice import Digest
from tocsin.notify.domain.notification import Notification

if TYPE_CHECKING:
    from datetime import datetime

    from tocsin.notify.channels.http import GuardedHttp
    from tocsin.notify.channels.judging import HttpAnswer
    from tocsin.notify.domain.delivery import Receipt
    from tocsin.notify.domain.notice import Message

SPEC = ChannelSpec(
    type=ChannelType.HEALTHCHECKS,
    display_name="Healthchecks",
    description="Pings one check of healthchecks.io, or of a server of one's own.",
    fields=(secret_url("ping_url", "The ping URL of the check."),),
    carries_digests=False,
    tracks_state=True,
    deduplicates=False,
)

_BODY_BYTES = 100_000
_TEXT = {"content-type": "text/plain; charset=utf-8"}
_ENDINGS = {Standing.WRONG: "/fail", Standing.SEEN_TO: "/log", Standing.RIGHT: ""}
# A check may be pinged 5 times in a minute.
_PAUSE = timedelta(minutes=1)


class HealthchecksSender:
    """Fails the check with what is raised, and succeeds with what is resolved."""

    def __init__(self, http: GuardedHttp) -> None:
        self._http = http

    async def send(self, message: Message, channel: Channel, secrets: Secrets) -> Receipt:
        if not isinstance(channel.config, HealthchecksConfig):
            raise TypeError(f"not a Healthchecks channel: {channel.type}")
        # A slug URL may have a query: ?create=1
        address, question, query = secrets.url.partition("?")
        url = f"{address.rstrip('/')}{_ending(message)}{question}{query}"
        told = body(message).encode("utf-8", "replace")[:_BODY_BYTES]
        return await self._http.call(HttpRequest(url, told, _TEXT), secrets, _judge)

    async def close(self) -> None:
        """Nothing is held open between attempts."""


def _ending(message: Message) -> str:
    """Log what says nothing of whether the check is well: a test, many things at once."""
    if isinstance(message, Digest) or (isinstance(message, Notification) and message.is_test):
        return "/log"
    return _ENDINGS[subject_of(message).standing]


def _judge(answer: HttpAnswer, now: datetime) -> Receipt:
    """It answers 200 also where it took nothing in, and says so in the body."""
    receipt = judge_by_status(answer, now)
    if receipt.outcome is not AttemptOutcome.DELIVERED:
        return receipt
    said = answer.body.strip().lower()
    if said == "ok (not found)":
        return replace(refused("There is no check with this ping URL."), status_code=answer.status)
    if said == "ok (rate limited)":
        pause = may_pass("The check was pinged too often.", retry_after=_PAUSE)
        return replace(pause, status_code=answer.status)
    return receipt
