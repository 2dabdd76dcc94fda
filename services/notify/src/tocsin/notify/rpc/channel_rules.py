"""From what a caller gave to a channel as it is kept: created, or changed. Pure.

Everything that is wrong is noted, and told at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from tocsin.common.errors import Violations
from tocsin.notify.channels.signature import new_secret
from tocsin.notify.domain.channel import (
    Channel,
    ChannelConfig,
    ConsoleConfig,
    EmailConfig,
    EmailSecurity,
    Secrets,
    WebhookConfig,
    rotate,
)
from tocsin.notify.rpc import field_rules
from tocsin.notify.rpc.given import GivenConsole, GivenEmail, GivenWebhook
from tocsin.notify.store.sealing import SecretsUnreadableError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from datetime import datetime

    from tocsin.notify.channels.address_guard import Network
    from tocsin.notify.rpc.given import GivenChannel

_WEBHOOK_PATHS: Final = ("webhook.url", "webhook.signing_secret")
_EMAIL_PATHS: Final = tuple(f"email.{name}" for name in GivenEmail.__slots__)
_INSIDE: Final = {"webhook": _WEBHOOK_PATHS, "email": _EMAIL_PATHS}
PATHS: Final = ("display_name", "enabled", *_INSIDE, *_WEBHOOK_PATHS, *_EMAIL_PATHS)
"""What an update mask may name."""


@dataclass(frozen=True, slots=True, repr=False)
class NewChannel:
    """A channel to create. `generated_secret` is the signing secret made for it, or ''."""

    display_name: str
    enabled: bool
    config: ChannelConfig
    secrets: Secrets
    generated_secret: str = ""


def new_channel(
    given: GivenChannel, allowed: Sequence[Network], random_bytes: Callable[[int], bytes]
) -> NewChannel:
    """Check everything about a channel to create. Raises InvalidArgumentError."""
    found = Violations()
    paths = {
        GivenWebhook: {"display_name", *_WEBHOOK_PATHS},
        GivenEmail: {"display_name", *_EMAIL_PATHS},
    }.get(type(given.config), {"display_name"})
    if given.config is None:
        found.add("channel.config", "must be set: one of webhook, email and console")
    check_fields(found, given, paths, allowed)
    if isinstance(given.config, GivenEmail):
        config = _email(given.config)
        _check_login(found, config, has_password=bool(given.config.password))
        found.raise_if_any()
        secrets = Secrets(password=given.config.password)
        return NewChannel(given.display_name, given.enabled, config, secrets)
    found.raise_if_any()
    if isinstance(given.config, GivenConsole):
        return NewChannel(given.display_name, given.enabled, ConsoleConfig(), Secrets())
    generated = "" if given.webhook.signing_secret else new_secret(random_bytes)
    return NewChannel(
        given.display_name,
        given.enabled,
        WebhookConfig(given.webhook.url),
        Secrets(signing_secret=given.webhook.signing_secret or generated),
        generated,
    )


def read_mask(found: Violations, paths: Sequence[str]) -> frozenset[str]:
    """Return the single fields that an update mask names, or note what it may name.

    A secret inside of a group that is named as a whole keeps its value when it is unset.
    """
    if not paths:
        found.add("update_mask", f"must name the fields to change: {', '.join(PATHS)}")
    for path in sorted(set(paths) - set(PATHS)):
        found.add("update_mask", f"names {path!r}; it may name {', '.join(PATHS)}")
    inside = {field for path in paths for field in _INSIDE.get(path, (path,))}
    return frozenset(inside & set(PATHS))


def check_fields(
    found: Violations, given: GivenChannel, paths: Collection[str], allowed: Sequence[Network]
) -> None:
    """Check each of the named fields by itself."""
    webhook, email = given.webhook, given.email
    checks: dict[str, Callable[[str], None]] = {
        "display_name": lambda p: field_rules.check_display_name(found, p, given.display_name),
        "webhook.url": lambda p: field_rules.check_url(found, p, webhook.url, allowed),
        "email.smtp_host": lambda p: field_rules.check_host(found, p, email.smtp_host, allowed),
        "email.smtp_port": lambda p: field_rules.check_port(found, p, email.smtp_port),
        "email.security": lambda p: field_rules.check_security(found, p, email.security),
        "email.username": lambda p: field_rules.check_credential(found, p, email.username),
        "email.password": lambda p: field_rules.check_credential(found, p, email.password),
        "email.from_address": lambda p: field_rules.check_mailbox(found, p, email.from_address),
        "email.to_addresses": lambda p: field_rules.check_recipients(found, p, email.to_addresses),
    }
    if webhook.signing_secret:
        checks["webhook.signing_secret"] = lambda p: field_rules.check_signing_secret(
            found, p, webhook.signing_secret
        )
    for path, check in checks.items():
        if path in paths:
            check(f"channel.{path}")


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
    found = Violations()
    _check_type(found, present, paths)
    found.raise_if_any()
    changed, secrets = present, None
    if isinstance(present.config, WebhookConfig):
        config, secrets = _changed_webhook(present.config, given.webhook, paths, open_secrets, now)
        changed = replace(present, config=config)
    elif isinstance(present.config, EmailConfig):
        changed, secrets = _changed_email(present, present.config, given.email, paths)
    if "display_name" in paths:
        changed = replace(changed, display_name=given.display_name)
    if "enabled" in paths and given.enabled != present.enabled:
        changed = replace(changed, enabled=given.enabled, disabled_reason="")
    return changed, secrets


def _check_type(found: Violations, present: Channel, paths: Collection[str]) -> None:
    for group in _INSIDE:
        if group != present.type and any(path.startswith(f"{group}.") for path in paths):
            found.add(
                "update_mask",
                f"names {group}, but this is a channel of type {present.type}; the type cannot be"
                " changed: create another channel",
            )


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


def _changed_email(
    present: Channel, former: EmailConfig, given: GivenEmail, paths: Collection[str]
) -> tuple[Channel, Secrets | None]:
    found = Violations()
    config = _overlaid(former, given, paths)
    password = given.password if "email.password" in paths else ""
    # Without a user name there is no login, and the password goes.
    keeps = present.has_secrets and bool(config.username)
    _check_login(found, config, has_password=bool(password) or keeps)
    if keeps and not password and config.smtp_host != former.smtp_host:
        found.add(
            "channel.email.password",
            "must be given again when smtp_host changes: it was meant for the former server",
        )
    found.raise_if_any()
    secrets = None
    if password or (present.has_secrets and not keeps):
        secrets = Secrets(password=password)
    has_secrets = bool(password) or keeps
    return replace(present, config=config, has_secrets=has_secrets), secrets


def _email(given: GivenEmail) -> EmailConfig:
    security = field_rules.SECURITIES.get(given.security, EmailSecurity.STARTTLS)
    return EmailConfig(
        smtp_host=given.smtp_host.strip("[]"),
        smtp_port=given.smtp_port or field_rules.DEFAULT_PORTS[security],
        security=security,
        username=given.username,
        from_address=given.from_address,
        to_addresses=given.to_addresses,
    )


def _overlaid(former: EmailConfig, given: GivenEmail, paths: Collection[str]) -> EmailConfig:
    """Return the former configuration with the named fields as given."""
    wanted = _email(given)
    names = [name for name in EmailConfig.__slots__ if f"email.{name}" in paths]
    config = replace(former, **{name: getattr(wanted, name) for name in names})
    if "smtp_port" in names and not given.smtp_port:
        config = replace(config, smtp_port=field_rules.DEFAULT_PORTS[config.security])
    return config


def _check_login(found: Violations, config: EmailConfig, *, has_password: bool) -> None:
    if config.username and not has_password:
        found.add("channel.email.password", "must be set together with username")
    if has_password and not config.username:
        found.add("channel.email.username", "must be set together with password")
    if has_password and config.security is EmailSecurity.NONE:
        found.add(
            "channel.email.security",
            "would send the password in clear text; write EMAIL_SECURITY_STARTTLS or"
            " EMAIL_SECURITY_TLS",
        )
