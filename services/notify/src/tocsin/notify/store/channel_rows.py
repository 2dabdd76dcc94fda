"""Rows of the table `channels`, and the channels that they stand for."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import Null, null

from tocsin.notify.domain.channel import (
    CONFIG_CLASSES,
    Channel,
    ChannelConfig,
    ChannelType,
    EmailConfig,
    EmailSecurity,
    RateLimit,
    WebhookConfig,
)

if TYPE_CHECKING:
    from sqlalchemy import Row


def channel_of(row: Row[Any]) -> Channel:
    """Return the channel of a row, without its secrets."""
    channel_type = ChannelType(row.type)
    return Channel(
        channel_id=row.channel_id,
        display_name=row.display_name,
        type=channel_type,
        config=config_of(channel_type, row.config),
        enabled=row.enabled,
        disabled_reason=row.disabled_reason,
        version=row.version,
        create_time=row.create_time,
        update_time=row.update_time,
        has_secrets=row.sealed_secrets is not None,
        rate_limit=_rate_limit_of(row.rate_limit),
    )


def columns_of(channel: Channel) -> dict[str, Any]:
    """Return the columns that a change can change, without the secrets."""
    return {
        "display_name": channel.display_name,
        "config": config_document(channel.config),
        "enabled": channel.enabled,
        "disabled_reason": channel.disabled_reason,
        "version": channel.version,
        "update_time": channel.update_time,
        "rate_limit": rate_limit_document(channel.rate_limit),
    }


def rate_limit_document(limit: RateLimit | None) -> dict[str, Any] | Null:
    """Return a rate limit as its column has it."""
    if limit is None:
        return null()
    return {"burst": limit.burst, "refill_seconds": limit.refill_period.total_seconds()}


def _rate_limit_of(document: dict[str, Any] | None) -> RateLimit | None:
    if document is None:
        return None
    return RateLimit(document["burst"], timedelta(seconds=document["refill_seconds"]))


def config_document(config: ChannelConfig) -> dict[str, Any]:
    """Return a configuration as JSON has it."""
    document = asdict(config)
    if isinstance(config, WebhookConfig) and config.previous_secret_expire_time is not None:
        document["previous_secret_expire_time"] = config.previous_secret_expire_time.isoformat()
    if isinstance(config, EmailConfig):
        document["to_addresses"] = list(config.to_addresses)
    return document


def config_of(channel_type: ChannelType, document: dict[str, Any]) -> ChannelConfig:
    """Return the configuration that `config_document` wrote."""
    match channel_type:
        case ChannelType.WEBHOOK:
            expire_time = document["previous_secret_expire_time"]
            return WebhookConfig(
                document["url"], datetime.fromisoformat(expire_time) if expire_time else None
            )
        case ChannelType.EMAIL:
            return EmailConfig(
                **document
                | {
                    "security": EmailSecurity(document["security"]),
                    "to_addresses": tuple(document["to_addresses"]),
                }
            )
        case _:
            return cast("ChannelConfig", CONFIG_CLASSES[channel_type](**document))
