"""PagerDuty: the Events API v2 (https://developer.pagerduty.com/docs/events-api-v2-overview)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tocsin.notify.channels.event_values import rfc3339
from tocsin.notify.channels.facts import facts
from tocsin.notify.channels.forms import URL_CHARACTERS
from tocsin.notify.channels.http import json_request
from tocsin.notify.channels.standing import Standing, subject_of
from tocsin.notify.channels.words import words
from tocsin.notify.domain.channel import Channel, ChannelType, PagerDutyConfig, Secrets
from tocsin.notify.domain.channel_type import ChannelSpec, ConfigField, ConfigFieldType
from tocsin.notify.domain.notification import Notification, Severity

if TYPE_CHECKING:
    from tocsin.notify.channels.http import GuardedHttp
    from tocsin.notify.channels.words import Words
    from tocsin.notify.domain.delivery import Receipt
    from tocsin.notify.domain.notice import Message

DEFAULT_EVENTS_URL = "https://events.pagerduty.com/v2/enqueue"

SPEC = ChannelSpec(
    type=ChannelType.PAGERDUTY,
    display_name="PagerDuty",
    description="Triggers, acknowledges and resolves incidents in PagerDuty.",
    fields=(
        ConfigField(
            "routing_key",
            ConfigFieldType.STRING,
            "The key of an integration of the type Events API v2.",
            required=True,
            min=1,
            max=64,
            secret_name="token",  # noqa: S106 - the name of a field
            follows="events_url",
        ),
        ConfigField(
            "events_url",
            ConfigFieldType.URL,
            "Where events go. The European region has its own.",
            max=URL_CHARACTERS,
            default=DEFAULT_EVENTS_URL,
        ),
    ),
    carries_digests=False,
    tracks_state=True,
    deduplicates=True,
)

_ACTIONS = {
    Standing.WRONG: "trigger",
    Standing.SEEN_TO: "acknowledge",
    Standing.RIGHT: "resolve",
}
_SEVERITIES = {Severity.INFO: "info", Severity.WARNING: "warning", Severity.CRITICAL: "critical"}
_SUMMARY_CHARACTERS = 1_024
_DETAIL_CHARACTERS = 4_096
_MESSAGE_CHARACTERS = 16_384


class PagerDutySender:
    """Makes each alert one incident, under its id as the key."""

    def __init__(self, http: GuardedHttp) -> None:
        self._http = http

    async def send(self, message: Message, channel: Channel, secrets: Secrets) -> Receipt:
        if not isinstance(channel.config, PagerDutyConfig):
            raise TypeError(f"not a PagerDuty channel: {channel.type}")
        url = channel.config.events_url or DEFAULT_EVENTS_URL
        return await self._http.call(json_request(url, _event(message, secrets.token)), secrets)

    async def close(self) -> None:
        """Nothing is held open between attempts."""


def _event(message: Message, routing_key: str) -> dict[str, Any]:
    subject = subject_of(message)
    event: dict[str, Any] = {
        "routing_key": routing_key,
        "event_action": _ACTIONS[subject.standing],
        "dedup_key": subject.key,
        "client": "Tocsin",
    }
    if subject.standing is Standing.WRONG:
        event["payload"] = _payload(message, words(message))
    return event


def _payload(message: Message, told: Words) -> dict[str, Any]:
    payload: dict[str, Any] = {
        "summary": told.title[:_SUMMARY_CHARACTERS],
        "source": "tocsin-notify",
        "severity": _SEVERITIES[told.severity],
        "timestamp": rfc3339(message.occur_time),
        "custom_details": {"message": "\n".join(told.fitted(_MESSAGE_CHARACTERS))},
    }
    if isinstance(message, Notification):
        alert = message.alert
        payload["source"] = alert.host_id
        payload["class"] = alert.kind
        details = {name: text[:_DETAIL_CHARACTERS] for name, text in facts(message)}
        payload["custom_details"] = details | {"message": alert.message[:_MESSAGE_CHARACTERS]}
        if alert.dedup_key:
            payload["component"] = alert.dedup_key
    return payload
