"""`tocsin channel update --set FIELD=VALUE`: the fields of any type of channels, by name."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from tocsin.api.notify.v1.channel_pb2 import Channel
from tocsin.cli import options
from tocsin.cli.channel_view import channel_type
from tocsin.cli.exits import wrong_usage
from tocsin.cli.secrets_given import read_secrets
from tocsin.client.values import duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_RATE_LIMIT = "--rate-limit"
# Those that no `…_set` beside them marks as secrets.
_MORE_SECRETS = frozenset({"signing_secret", "urls"})
# What the service tells of a channel.
_TOLD = frozenset({"url_count"})
# The types whose fields have options of their own.
_WITH_OPTIONS = frozenset({"webhook", "email"})


def _names(config: Descriptor, option: str) -> list[str]:
    """Return the fields that an option sets: the secrets by --secret, all others by --set."""
    names = list(config.fields_by_name)
    secrets = {name for name in names if f"{name}_set" in names or name in _MORE_SECRETS}
    if option == "--secret":
        return [name for name in names if name in secrets]
    told = {f"{name}_set" for name in secrets} | _TOLD
    return [
        name
        for name, field in config.fields_by_name.items()
        if name not in secrets | told and field.message_type is None
    ]


WRITTEN_AS = {
    f"{kind.name}.{name}": f"{option} {name}"
    for kind in Channel.DESCRIPTOR.oneofs_by_name["config"].fields
    if kind.message_type is not None and kind.name not in _WITH_OPTIONS
    for option in ("--set", "--secret")
    for name in _names(kind.message_type, option)
}
"""How `tocsin channel update` writes the fields of a channel."""


def fill(
    wanted: Channel,
    present: Channel,
    *,
    settings: Iterable[str],
    secrets: Iterable[str],
    rate_limit: str,
) -> Iterator[str]:
    """Set what is given, and yield the paths of it for the update mask.

    `settings` are FIELD=VALUE, `secrets` FIELD=FILE, where no file takes the secret away.
    """
    kind = channel_type(present)
    config = getattr(wanted, kind)
    for given in settings:
        field, text = _parted("--set", given, config)
        _put(config, field, [text] if text else [], "--set")
        yield f"{kind}.{field.name}"
    for given in secrets:
        field, path = _parted("--secret", given, config)
        _put(config, field, read_secrets("--secret", path), "--secret")
        yield f"{kind}.{field.name}"
    if rate_limit:
        _limit(wanted, rate_limit)
        yield "rate_limit"


def _parted(option: str, given: str, config: Any) -> tuple[FieldDescriptor, str]:
    name, equals, text = given.partition("=")
    names = _names(config.DESCRIPTOR, option)
    if equals and name in names:
        return config.DESCRIPTOR.fields_by_name[name], text
    if option == "--set" and name in _names(config.DESCRIPTOR, "--secret"):
        raise wrong_usage(f"--set: {name} is a secret; write --secret {name}=FILE")
    if not names:
        raise wrong_usage(f"{option}: there is nothing to set on a channel of this type")
    if not equals and name in names:
        raise wrong_usage(f"{option}: {given!r} says nothing of it; write {name}=…")
    near = get_close_matches(name, names, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise wrong_usage(f"{option}: {name!r} is none of {', '.join(names)}.{hint}")


def _put(config: Any, field: FieldDescriptor, texts: list[str], option: str) -> None:
    if field.is_repeated:
        getattr(config, field.name).extend(texts)
        return
    if len(texts) > 1:
        raise wrong_usage(f"{option}: {field.name} must be on one line")
    text = texts[0] if texts else ""
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        setattr(config, field.name, text)
    elif text.lstrip("-").isdecimal():
        setattr(config, field.name, int(text))
    else:
        raise wrong_usage(f"{option}: {field.name} is a number, not {text!r}")


def _limit(wanted: Channel, given: str) -> None:
    """Read `10/30s`, `none`, or `default`, which sets nothing."""
    if given == "default":
        return
    burst, _, span = given.partition("/")
    if given == "none":
        wanted.rate_limit.burst = 0
        return
    period = duration(options.read_length(_RATE_LIMIT, span))
    if not burst.isdecimal() or period is None:
        raise wrong_usage(
            f"{_RATE_LIMIT}: {given!r} is none; write 10/30s for 10 at once and one more each 30 s,"
            " none, or default"
        )
    wanted.rate_limit.burst = int(burst)
    wanted.rate_limit.refill_period.CopyFrom(period)
