"""Every type of channels that there is, and whether it can be used here."""

from __future__ import annotations

from importlib.util import find_spec
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from tocsin.notify.channels import (
    alertmanager,
    apprise,
    console,
    discord,
    email_form,
    gotify,
    healthchecks,
    ntfy,
    pagerduty,
    slack,
    teams,
    telegram,
    webhook,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tocsin.notify.domain.channel import ChannelType
    from tocsin.notify.domain.channel_type import ChannelSpec

SPECS: Final[Mapping[ChannelType, ChannelSpec]] = MappingProxyType(
    {
        spec.type: spec
        for spec in (
            webhook.SPEC,
            email_form.SPEC,
            console.SPEC,
            ntfy.SPEC,
            slack.SPEC,
            discord.SPEC,
            teams.SPEC,
            telegram.SPEC,
            gotify.SPEC,
            pagerduty.SPEC,
            healthchecks.SPEC,
            alertmanager.SPEC,
            apprise.SPEC,
        )
    }
)
"""What is known of each type, in the order in which they are offered."""


def unavailable_reason(spec: ChannelSpec) -> str:
    """Say what to do before a type can be used here; '' when it can be."""
    if not spec.package or find_spec(spec.package) is not None:
        return ""
    return (
        f"The package {spec.package} is not installed beside tocsin-notify. Install"
        f" requirements/{spec.package}.txt of Tocsin there, and start the service again."
    )
