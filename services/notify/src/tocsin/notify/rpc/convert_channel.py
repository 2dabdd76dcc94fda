"""Channels between the contract's messages and our own values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tocsin.api.notify.v1 import channel_pb2, channel_type_pb2
from tocsin.common.rpc.times import to_timestamp
from tocsin.notify.channels.catalogue import SPECS, unavailable_reason
from tocsin.notify.domain.channel import (
    Channel,
    ChannelType,
    EmailConfig,
    EmailSecurity,
    RateLimit,
    WebhookConfig,
)
from tocsin.notify.rpc.form_rules import secret_is_set
from tocsin.notify.rpc.given import (
    GivenChannel,
    GivenEmail,
    GivenForm,
    GivenRateLimit,
    GivenWebhook,
)
from tocsin.notify.rpc.lengths import to_duration

if TYPE_CHECKING:
    from datetime import datetime

    from tocsin.notify.domain.channel_type import ChannelSpec, ConfigField
    from tocsin.notify.rpc.given import Value

_SECURITIES = {
    EmailSecurity.STARTTLS: channel_pb2.EMAIL_SECURITY_STARTTLS,
    EmailSecurity.TLS: channel_pb2.EMAIL_SECURITY_TLS,
    EmailSecurity.NONE: channel_pb2.EMAIL_SECURITY_NONE,
}


def given_channel(stub: channel_pb2.Channel) -> GivenChannel:
    """Take in a channel as it came; its output-only fields are left."""
    return GivenChannel(
        channel_id=stub.channel_id,
        display_name=stub.display_name,
        enabled=stub.enabled if stub.HasField("enabled") else True,
        version=stub.version,
        config=_given_config(stub),
        rate_limit=_given_rate_limit(stub),
    )


def _given_rate_limit(stub: channel_pb2.Channel) -> GivenRateLimit | None:
    if not stub.HasField("rate_limit"):
        return None
    limit = stub.rate_limit
    return GivenRateLimit(
        limit.burst, limit.refill_period if limit.HasField("refill_period") else None
    )


def _given_config(stub: channel_pb2.Channel) -> GivenWebhook | GivenEmail | GivenForm | None:
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
        case None:
            return None
        case name:
            spec = SPECS[ChannelType(name)]
            config = getattr(stub, name)
            return GivenForm(spec.type, {f.name: _given_value(config, f) for f in spec.fields})


def _given_value(config: Any, field: ConfigField) -> Value:
    value = getattr(config, field.name)
    return tuple(value) if field.repeated else value


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
        rate_limit=_rate_limit(channel.rate_limit),
    )
    match channel.config:
        case WebhookConfig():
            stub.webhook.CopyFrom(_webhook(channel.config, now))
        case EmailConfig():
            stub.email.CopyFrom(_email(channel.config, has_password=channel.has_secrets))
        case _:
            _fill_form(getattr(stub, channel.type.value), channel)
    return stub


def _fill_form(config: Any, channel: Channel) -> None:
    config.SetInParent()
    for field in SPECS[channel.type].fields:
        if not field.secret_name:
            setattr(config, field.name, getattr(channel.config, field.name))
        elif field.repeated:
            config.url_count = getattr(channel.config, "url_count", 0)
        else:
            setattr(config, f"{field.name}_set", secret_is_set(channel, field.name))


def _webhook(config: WebhookConfig, now: datetime) -> channel_pb2.WebhookConfig:
    expire_time = config.previous_secret_expire_time
    stub = channel_pb2.WebhookConfig(url=config.url)
    if expire_time is not None and now < expire_time:
        stub.previous_secret_expire_time.CopyFrom(to_timestamp(expire_time))
    return stub


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


def _rate_limit(limit: RateLimit | None) -> channel_pb2.RateLimit | None:
    if limit is None:
        return None
    stub = channel_pb2.RateLimit(burst=limit.burst)
    if limit.burst:
        stub.refill_period.CopyFrom(to_duration(limit.refill_period))
    return stub


def channel_type_to_stub(spec: ChannelSpec) -> channel_type_pb2.ChannelType:
    """Return a type of channels as callers see it."""
    reason = unavailable_reason(spec)
    return channel_type_pb2.ChannelType(
        name=spec.type.value,
        display_name=spec.display_name,
        description=spec.description,
        fields=[_field(field) for field in spec.fields],
        carries_digests=spec.carries_digests,
        tracks_state=spec.tracks_state,
        deduplicates=spec.deduplicates,
        available=not reason,
        unavailable_reason=reason,
        default_rate_limit=_rate_limit(spec.default_rate_limit),
    )


def _field(field: ConfigField) -> channel_type_pb2.ConfigField:
    return channel_type_pb2.ConfigField(
        name=field.name,
        type=channel_type_pb2.ConfigFieldType.ValueType(field.type),
        required=field.required,
        secret=bool(field.secret_name),
        repeated=field.repeated,
        min=field.min,
        max=field.max,
        pattern=field.pattern,
        choices=field.choices,
        default_value=field.default,
        description=field.description,
    )
