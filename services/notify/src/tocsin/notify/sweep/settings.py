"""How notify watches itself: these settings are a part of those of the service."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr, ValidationInfo, field_validator

from tocsin.common.config import ServiceSettings


def _heartbeat_url(secret: SecretStr) -> SecretStr:
    scheme, _, rest = secret.get_secret_value().partition("://")
    if scheme not in {"http", "https"} or not rest.strip("/"):
        raise ValueError("is no URL; write https:// and what follows it")
    return secret


class WatchSettings(ServiceSettings):
    """What is watched, and who learns that the alarm bell has stopped."""

    channel_failing_after_seconds: float = Field(
        default=300,
        ge=0,
        le=86_400,
        description="After how long without success a channel that fails is an alert "
        "(channel_failing), which is told through the other channels.",
    )
    canary_channel: str = Field(
        default="",
        max_length=128,
        description="The name or id of a channel through which a synthetic alert (canary) goes the "
        "whole way again and again. Unset: none does.",
        examples=["canary"],
    )
    canary_seconds: float = Field(
        default=300,
        ge=10,
        le=86_400,
        description="How often a canary is sent, and within which time it has to arrive.",
    )
    heartbeat_url: Annotated[SecretStr, AfterValidator(_heartbeat_url)] | None = Field(
        default=None,
        validate_default=True,
        description="A URL that is asked for (GET) each time that a canary has arrived, such as a "
        "ping URL of healthchecks.io: it learns when the alarm bell itself has stopped.",
    )

    @field_validator("heartbeat_url")
    @classmethod
    def _beats_for_a_canary(cls, url: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if url is not None and not info.data.get("canary_channel", "unknown"):
            raise ValueError(
                "is set, but TOCSIN_NOTIFY_CANARY_CHANNEL is not; name the channel for the canary"
            )
        return url

    @property
    def canary_period(self) -> timedelta:
        return timedelta(seconds=self.canary_seconds)

    @property
    def channel_failing_after(self) -> timedelta:
        return timedelta(seconds=self.channel_failing_after_seconds)
