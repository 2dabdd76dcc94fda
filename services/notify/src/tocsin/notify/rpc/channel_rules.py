"""From what a caller gave to a channel as it is kept: created, or changed. Pure.

Everything that is wrong is noted, and told at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from tocsin.common.errors import Violations
from tocsin.common.rpc.validate import shown
from tocsin.notify.channels.catalogue import SPECS
from tocsin.notify.channels.signature import new_secret
from tocsin.notify.domain.channel import (
    Channel,
    ChannelConfig,
    ChannelType,
    EmailConfig,
    RateLimit,
    Secrets,
    WebhookConfig,
    rotate,
)
from tocsin.notify.rpc import field_rules
from tocsin.notify.rpc.email_rules import changed_email, check_email, new_email
from tocsin.notify.rpc.form_rules import changed_form, check_form, new_form
from tocsin.notify.rpc.given import GivenChannel, GivenEmail, GivenForm, GivenWebhook
from tocsin.notify.store.sealing import SecretsUnreadableError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from datetime import datetime

    from tocsin.notify.channels.address_guard import Network
    from tocsin.notify.rpc.given import GivenRateLimit

_TYPES: Final = tuple(each.value for each in SPECS)
_GENERAL: Final = ("display_name", "enabled", "rate_limit")
_INSIDE: Final = {
    spec.type.value: tuple(f"{spec.type.value}.{field.name}" for field in spec.fields)
    for spec in SPECS.values()
}
_SECRETS: Final = {
    f"{spec.type.value}.{field.name}": field
    for spec in SPECS.values()
    for field in spec.fields
    if field.secret_name
}
PATHS: Final = (*_GENERAL, *_TYPES, *(path for paths in _INSIDE.values() for path in paths))
"""What an update mask may name."""


@dataclass(frozen=True, slots=True, repr=False)
class NewChannel:
    """A channel to create. `generated_secret` is the signing secret made for it, or ''."""

    display_name: str
    enabled: bool
    config: ChannelConfig
    secrets: Secrets
    rate_limit: RateLimit | None = None
    generated_secret: str = ""


def new_channel(
    given: GivenChannel, allowed: Sequence[Network], random_bytes: Callable[[int], bytes]
) -> NewChannel:
    """Check everything about a channel to create. Raises InvalidArgumentError."""
    found = Violations()
    if given.config is None:
        found.add("channel.config", f"must be set: one of {', '.join(_TYPES)}")
    unset = {path for path in ("webhook.signing_secret",) if not given.value(path)}
    check_fields(found, given, set(PATHS) - unset, allowed)
    config: ChannelConfig = WebhookConfig(given.webhook.url)
    secrets, generated = Secrets(), ""
    if isinstance(given.config, GivenEmail):
        config, secrets = new_email(found, given.config)
    found.raise_if_any()
    if isinstance(given.config, GivenForm):
        config, secrets = new_form(given.config)
    elif isinstance(given.config, GivenWebhook):
        generated = "" if given.webhook.signing_secret else new_secret(random_bytes)
        secrets = Secrets(signing_secret=given.webhook.signing_secret or generated)
    return NewChannel(
        given.display_name,
        given.enabled,
        config,
        secrets,
        _rate_limit(given.rate_limit),
        generated,
    )


def read_mask(found: Violations, paths: Sequence[str], given: GivenChannel) -> frozenset[str]:
    """Return the single fields that an update mask names, or note what it may name.

    A secret inside of a group that is named as a whole is not among them when it is unset: it
    stays. One that is named by itself may only be unset where the type does without it.
    """
    if not paths:
        found.add("update_mask", f"must name the fields to change: {_MAY_NAME}")
    for path in sorted(set(paths) - set(PATHS)):
        found.add("update_mask", f"names {shown(path)!r}; {_instead_of(path)}")
    named = set(paths) & set(PATHS)
    for path in sorted(named & set(_SECRETS)):
        must_be = _SECRETS[path].required or path == "webhook.signing_secret"
        if must_be and not given.value(path):
            found.add(f"channel.{path}", "must not be empty where the mask names it")
    inside = {field for group in named & set(_INSIDE) for field in _INSIDE[group]}
    stay = {path for path in inside if path in _SECRETS and not given.value(path)}
    return frozenset((inside - stay) | (named - set(_INSIDE)))


_MAY_NAME: Final = (
    f"{', '.join(_GENERAL)}, the type ({', '.join(_TYPES)}), or fields of it such as webhook.url"
)


def _instead_of(path: str) -> str:
    group = path.partition(".")[0]
    if _INSIDE.get(group):
        return f"of {group} it may name {', '.join(_INSIDE[group])}"
    return f"it may name {_MAY_NAME}"


def check_fields(
    found: Violations, given: GivenChannel, paths: Collection[str], allowed: Sequence[Network]
) -> None:
    """Check each of the named fields by itself."""
    if "display_name" in paths:
        field_rules.check_display_name(found, "channel.display_name", given.display_name)
    if "rate_limit" in paths:
        field_rules.check_rate_limit(found, "channel.rate_limit", given.rate_limit)
    match given.config:
        case GivenWebhook():
            _check_webhook(found, given.config, paths, allowed)
        case GivenEmail():
            check_email(found, given.config, _names(ChannelType.EMAIL, paths), allowed)
        case GivenForm():
            check_form(found, given.config, _names(given.config.type, paths), allowed)


def changed_channel(
    present: Channel,
    given: GivenChannel,
    paths: frozenset[str],
    open_secrets: Callable[[], Secrets],
    now: datetime,
) -> tuple[Channel, Secrets | None]:
    """Return a channel with the named fields as given, and its secrets, None when they stay.

    The single fields are right already. Raises InvalidArgumentError for what does not fit together.
    """
    _check_type(present, paths)
    secrets: Secrets | None
    if isinstance(present.config, WebhookConfig):
        config, secrets = _changed_webhook(present.config, given.webhook, paths, open_secrets, now)
        changed = replace(present, config=config)
    elif isinstance(present.config, EmailConfig):
        names = _names(ChannelType.EMAIL, paths)
        changed, secrets = changed_email(present, present.config, given.email, names)
    else:
        names = _names(present.type, paths)
        changed, secrets = changed_form(present, given.form(present.type), names)
    if "display_name" in paths:
        changed = replace(changed, display_name=given.display_name)
    if "rate_limit" in paths:
        changed = replace(changed, rate_limit=_rate_limit(given.rate_limit))
    if "enabled" in paths and given.enabled != present.enabled:
        changed = replace(changed, enabled=given.enabled, disabled_reason="")
    return changed, secrets


def _names(channel_type: ChannelType, paths: Collection[str]) -> set[str]:
    """Return the fields of a type that are named, without its name before them."""
    return {path.partition(".")[2] for path in _INSIDE[channel_type.value] if path in paths}


def _check_type(present: Channel, paths: Collection[str]) -> None:
    found = Violations()
    for group in _INSIDE:
        if group != present.type and any(path.startswith(f"{group}.") for path in paths):
            found.add(
                "update_mask",
                f"names {group}, but this is a channel of type {present.type}; the type cannot be"
                " changed: create another channel",
            )
    found.raise_if_any()


def _check_webhook(
    found: Violations, given: GivenWebhook, paths: Collection[str], allowed: Sequence[Network]
) -> None:
    if "webhook.url" in paths:
        field_rules.check_url(found, "channel.webhook.url", given.url, allowed)
    if "webhook.signing_secret" in paths and given.signing_secret:
        path = "channel.webhook.signing_secret"
        field_rules.check_signing_secret(found, path, given.signing_secret)


def _changed_webhook(
    config: WebhookConfig,
    given: GivenWebhook,
    paths: Collection[str],
    open_secrets: Callable[[], Secrets],
    now: datetime,
) -> tuple[WebhookConfig, Secrets | None]:
    if "webhook.url" in paths:
        config = replace(config, url=given.url)
    if "webhook.signing_secret" not in paths or not given.signing_secret:
        return config, None
    try:
        former = open_secrets()
    except SecretsUnreadableError:  # setting another secret is how a lost key is mended
        former = Secrets()
    config, secrets = rotate(config, former, given.signing_secret, now)
    return config, (None if secrets == former else secrets)


def _rate_limit(given: GivenRateLimit | None) -> RateLimit | None:
    if given is None:
        return None
    period = given.refill_period
    return RateLimit(
        given.burst, period.ToTimedelta() if given.burst and period is not None else timedelta()
    )
