"""The rules of e-mail channels. Pure.

A password goes to no server but the one that it was meant for, and never in clear text.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tocsin.common.errors import Violations
from tocsin.notify.domain.channel import Channel, EmailConfig, EmailSecurity, Secrets
from tocsin.notify.rpc import field_rules

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from tocsin.notify.channels.address_guard import Network
    from tocsin.notify.rpc.given import GivenEmail


def check_email(
    found: Violations, given: GivenEmail, names: Collection[str], allowed: Sequence[Network]
) -> None:
    """Check each of the named fields by itself."""
    checks: dict[str, Callable[[str], None]] = {
        "smtp_host": lambda p: field_rules.check_host(found, p, given.smtp_host, allowed),
        "smtp_port": lambda p: field_rules.check_port(found, p, given.smtp_port),
        "security": lambda p: field_rules.check_security(found, p, given.security),
        "username": lambda p: field_rules.check_credential(found, p, given.username),
        "password": lambda p: field_rules.check_credential(found, p, given.password),
        "from_address": lambda p: field_rules.check_mailbox(found, p, given.from_address),
        "to_addresses": lambda p: field_rules.check_recipients(found, p, given.to_addresses),
    }
    for name, check in checks.items():
        if name in names:
            check(f"channel.email.{name}")


def new_email(found: Violations, given: GivenEmail) -> tuple[EmailConfig, Secrets]:
    """Return a configuration, of no use once anything is noted."""
    config = _email(given)
    _check_login(found, config, has_password=bool(given.password))
    return config, Secrets(password=given.password)


def changed_email(
    present: Channel, former: EmailConfig, given: GivenEmail, names: Collection[str]
) -> tuple[Channel, Secrets | None]:
    """Return a channel with the named fields as given, and its secrets, None when they stay.

    The fields are right already. Raises InvalidArgumentError for what does not fit together.
    """
    found = Violations()
    config = _overlaid(former, given, names)
    password = given.password if "password" in names else ""
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


def _overlaid(former: EmailConfig, given: GivenEmail, names: Collection[str]) -> EmailConfig:
    """Return the former configuration with the named fields as given."""
    wanted = _email(given)
    known = [name for name in EmailConfig.__slots__ if name in names]
    config = replace(former, **{name: getattr(wanted, name) for name in known})
    if "smtp_port" in known and not given.smtp_port:
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
