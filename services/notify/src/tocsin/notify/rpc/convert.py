"""Between the contract's messages and our own values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.api.notify.v1 import channel_pb2, delivery_pb2
from tocsin.common.errors import InvalidArgumentError, Violations
from tocsin.common.rpc.times import to_timestamp
from tocsin.common.rpc.validate import read_uuid
from tocsin.notify.domain.channel import (
    Channel,
    ConsoleConfig,
    EmailConfig,
    EmailSecurity,
    WebhookConfig,
)
from tocsin.notify.rpc.given import GivenChannel, GivenConsole, GivenEmail, GivenWebhook

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from google.protobuf.timestamp_pb2 import Timestamp

    from tocsin.notify.domain.delivery import Attempt, Delivery

_SECURITIES = {
    EmailSecurity.STARTTLS: channel_pb2.EMAIL_SECURITY_STARTTLS,
    EmailSecurity.TLS: channel_pb2.EMAIL_SECURITY_TLS,
    EmailSecurity.NONE: channel_pb2.EMAIL_SECURITY_NONE,
}

DELIVERY_STATES: dict[int, str] = {
    number: name for name, number in delivery_pb2.DeliveryState.items() if number != 0
}
"""The states that a filter may name."""


def id_of(path: str, text: str) -> UUID:
    """Return the UUID that a request names. Raises InvalidArgumentError."""
    found = Violations()
    read = read_uuid(found, path, text)
    if read is None:
        raise InvalidArgumentError.of(found.found)
    return read


def given_channel(stub: channel_pb2.Channel) -> GivenChannel:
    """Take in a channel as it came; its output-only fields are left."""
    return GivenChannel(
        channel_id=stub.channel_id,
        display_name=stub.display_name,
        enabled=stub.enabled if stub.HasField("enabled") else True,
        version=stub.version,
        config=_given_config(stub),
    )


def _given_config(stub: channel_pb2.Channel) -> GivenWebhook | GivenEmail | GivenConsole | None:
    match stub.WhichOneof("config"):
        case "webhook":
            return GivenWebhook(stub.webhook.url, stub.webhook.signing_secret)
        case "email":
            email = stub.email
            return GivenEmail(
                smtp_host=email.smtp_host,
                smtp_port=email.smtp_port,
                security=email.security,
                username=email.username,
                password=email.password,
                from_address=email.from_address,
                to_addresses=tuple(email.to_addresses),
            )
        case "console":
            return GivenConsole()
        case _:
            return None


def channel_to_stub(channel: Channel, now: datetime) -> channel_pb2.Channel:
    """Return a channel as callers see it at `now`: without its secrets."""
    stub = channel_pb2.Channel(
        channel_id=str(channel.channel_id),
        display_name=channel.display_name,
        enabled=channel.enabled,
        disabled_reason=channel.disabled_reason,
        version=channel.version,
        create_time=to_timestamp(channel.create_time),
        update_time=to_timestamp(channel.update_time),
    )
    match channel.config:
        case WebhookConfig():
            stub.webhook.CopyFrom(_webhook(channel.config, now))
        case EmailConfig():
            stub.email.CopyFrom(_email(channel.config, has_password=channel.has_secrets))
        case ConsoleConfig():
            stub.console.SetInParent()
    return stub


def _webhook(config: WebhookConfig, now: datetime) -> channel_pb2.WebhookConfig:
    expire_time = config.previous_secret_expire_time
    is_rotating = expire_time is not None and now < expire_time
    return channel_pb2.WebhookConfig(
        url=config.url,
        previous_secret_expire_time=_stamp(expire_time if is_rotating else None),
    )


def _email(config: EmailConfig, *, has_password: bool) -> channel_pb2.EmailConfig:
    return channel_pb2.EmailConfig(
        smtp_host=config.smtp_host,
        smtp_port=config.smtp_port,
        security=_SECURITIES[config.security],
        username=config.username,
        password_set=has_password,
        from_address=config.from_address,
        to_addresses=config.to_addresses,
    )


def delivery_to_stub(delivery: Delivery) -> delivery_pb2.Delivery:
    """Return a delivery as callers see it."""
    return delivery_pb2.Delivery(
        delivery_id=str(delivery.delivery_id),
        channel_id=str(delivery.channel_id),
        channel_display_name=delivery.channel_display_name,
        event_id=str(delivery.event_id),
        event_type=delivery.event_type.dotted,
        epoch=str(delivery.epoch),
        revision=delivery.revision,
        synthetic=delivery.synthetic,
        alert_id=str(delivery.alert_id),
        host_id=delivery.host_id,
        kind=delivery.kind,
        dedup_key=delivery.dedup_key,
        state=delivery_pb2.DeliveryState.ValueType(delivery.state),
        state_reason=delivery.state_reason,
        attempt_count=delivery.attempt_count,
        next_attempt_time=_stamp(delivery.next_attempt_time),
        create_time=to_timestamp(delivery.create_time),
        settle_time=_stamp(delivery.settle_time),
    )


def attempt_to_stub(attempt: Attempt) -> delivery_pb2.Attempt:
    """Return an attempt as callers see it."""
    return delivery_pb2.Attempt(
        number=attempt.number,
        start_time=to_timestamp(attempt.start_time),
        finish_time=_stamp(attempt.finish_time),
        outcome=delivery_pb2.AttemptOutcome.ValueType(attempt.outcome or 0),
        status_code=attempt.status_code,
        detail=attempt.detail,
    )


def _stamp(time: datetime | None) -> Timestamp | None:
    return None if time is None else to_timestamp(time)
