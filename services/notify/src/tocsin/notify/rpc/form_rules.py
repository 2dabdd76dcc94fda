"""The rules of all types of channels that follow from their description alone. Pure."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, cast

from tocsin.common.errors import Violations
from tocsin.common.rpc.validate import check_text
from tocsin.notify.channels.catalogue import SPECS
from tocsin.notify.domain.channel import (
    CONFIG_CLASSES,
    AlertmanagerConfig,
    AppriseConfig,
    Channel,
    ChannelConfig,
    Secrets,
)
from tocsin.notify.domain.channel_type import ConfigField, ConfigFieldType
from tocsin.notify.rpc.field_rules import URL_CHARACTERS, check_one_line, check_url

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from tocsin.notify.channels.address_guard import Network
    from tocsin.notify.rpc.given import GivenForm, Value


def check_form(
    found: Violations, given: GivenForm, names: Collection[str], allowed: Sequence[Network]
) -> None:
    """Check each of the named fields by itself. What is noted never repeats a secret."""
    for field in SPECS[given.type].fields:
        if field.name in names:
            path = f"channel.{given.type.value}.{field.name}"
            _check(found, path, field, given.values.get(field.name, ""), allowed)


def new_form(given: GivenForm) -> tuple[ChannelConfig, Secrets]:
    """Return a configuration of fields that are right already. Raises InvalidArgumentError."""
    config = _overlaid(CONFIG_CLASSES[given.type](**_unset(given)), given.values)
    secrets = _secrets(given, given.values)
    found = Violations()
    if isinstance(config, AlertmanagerConfig):
        _check_login(found, config, _names_of(given, secrets))
    found.raise_if_any()
    return config, secrets


def changed_form(
    present: Channel, given: GivenForm, names: Collection[str]
) -> tuple[Channel, Secrets | None]:
    """Return a channel with the named fields as given, and its secrets, None when they stay.

    A secret that is named and empty is taken away. Raises InvalidArgumentError.
    """
    found = Violations()
    named = {name: value for name, value in given.values.items() if name in names}
    config = _overlaid(present.config, named)
    set_now = {field.name for field in _secret_fields(given) if named.get(field.name)}
    set_before = {f.name for f in _secret_fields(given) if secret_is_set(present, f.name)}
    kept = set_before - set(names)
    if isinstance(config, AlertmanagerConfig):
        kept &= _of_login(config, set_now)
        _check_login(found, config, kept | set_now)
    for field in _secret_fields(given):
        if field.name in kept and _moves(field.follows, present.config, config, given):
            found.add(
                f"channel.{given.type.value}.{field.name}",
                f"must be given again when {field.follows} changes: it was meant for the former"
                " server",
            )
    found.raise_if_any()
    secrets = _secrets(given, named) if set_now or kept != set_before else None
    return replace(present, config=config, has_secrets=bool(kept or set_now)), secrets


def secret_is_set(channel: Channel, name: str) -> bool:
    """Whether a channel has the secret of that field. Its secrets need not be opened for it."""
    if isinstance(channel.config, AlertmanagerConfig):
        return channel.has_secrets and name in _of_login(channel.config, ())
    return channel.has_secrets


def _check(
    found: Violations, path: str, field: ConfigField, value: Value, allowed: Sequence[Network]
) -> None:
    if field.repeated:
        _check_each(found, path, field, tuple(cast("tuple[str, ...]", value)))
    elif field.type is ConfigFieldType.INTEGER:
        if not field.min <= cast("int", value or 0) <= field.max:
            found.add(path, f"is {value}; write {field.min:,} to {field.max:,}")
    elif value or field.required:
        _check_text(found, path, field, str(value), allowed)


def _check_each(found: Violations, path: str, field: ConfigField, values: tuple[str, ...]) -> None:
    if not field.min <= len(values) <= field.max:
        found.add(path, f"has {len(values):,} entries; write {field.min} to {field.max}")
        return
    single = replace(field, min=1, max=URL_CHARACTERS)
    for index, value in enumerate(values):
        _check_text(found, f"{path}[{index}]", single, value, ())


def _check_text(
    found: Violations, path: str, field: ConfigField, text: str, allowed: Sequence[Network]
) -> None:
    before = len(found.found)
    if field.type is ConfigFieldType.URL:
        check_url(found, path, text, allowed)
    else:
        check_text(found, path, text, least=field.min, most=field.max)
        check_one_line(found, path, text)
    if len(found.found) == before and field.pattern and not re.fullmatch(field.pattern, text):
        found.add(path, f"must match {field.pattern} as a whole")


def _unset(given: GivenForm) -> dict[str, Any]:
    """Return the fields of a configuration of which nothing is given."""
    of = CONFIG_CLASSES[given.type]
    return {each.name: 0 if each.type == "int" else "" for each in fields(of)}


def _overlaid(config: ChannelConfig, values: Mapping[str, Value]) -> ChannelConfig:
    if isinstance(config, AppriseConfig):
        urls = cast("tuple[str, ...]", values.get("urls") or ())
        return AppriseConfig(len(urls)) if urls else config
    known = {name: value for name, value in values.items() if hasattr(config, name)}
    return replace(config, **cast("dict[str, Any]", known))


def _secret_fields(given: GivenForm) -> Iterator[ConfigField]:
    return (field for field in SPECS[given.type].fields if field.secret_name)


def _secrets(given: GivenForm, values: Mapping[str, Value]) -> Secrets:
    texts = {}
    for field in _secret_fields(given):
        value = values.get(field.name, "")
        texts[field.secret_name] = "\n".join(value) if isinstance(value, tuple) else str(value)
    return Secrets(**texts)


def _names_of(given: GivenForm, secrets: Secrets) -> set[str]:
    return {f.name for f in _secret_fields(given) if getattr(secrets, f.secret_name)}


def _moves(name: str, former: ChannelConfig, config: ChannelConfig, given: GivenForm) -> bool:
    """Whether what a secret was meant for changes. An unset field is as its default."""
    for field in SPECS[given.type].fields:
        if field.name == name:
            before = getattr(former, name) or field.default
            return bool(before != (getattr(config, name) or field.default))
    return False


def _of_login(config: AlertmanagerConfig, given: Collection[str]) -> set[str]:
    """Return which secrets of an Alertmanager may stay: those of the way that it logs in by."""
    if config.username:
        return {"password"}
    return set() if "password" in given else {"bearer_token"}


def _check_login(found: Violations, config: AlertmanagerConfig, secrets: set[str]) -> None:
    at = "channel.alertmanager"
    if config.username and "bearer_token" in secrets:
        found.add(f"{at}.bearer_token", "cannot be used together with username; leave one out")
    elif config.username and "password" not in secrets:
        found.add(f"{at}.password", "must be set together with username")
    if "password" in secrets and not config.username:
        found.add(f"{at}.username", "must be set together with password")
