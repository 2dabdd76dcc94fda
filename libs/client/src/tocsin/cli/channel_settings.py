"""`tocsin channel update --set FIELD=VALUE`: the fields of any type of channels, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.protobuf.descriptor import FieldDescriptor

from tocsin.cli import options
from tocsin.cli.channel_view import channel_type
from tocsin.cli.exits import wrong_usage
from tocsin.cli.secrets_given import read_secrets
from tocsin.client.values import duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tocsin.api.notify.v1.channel_pb2 import Channel

_RATE_LIMIT = "--rate-limit"


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
    fields = config.DESCRIPTOR.fields_by_name
    if not equals or name not in fields:
        raise wrong_usage(f"{option}: {given!r} names none of {', '.join(fields)}; write FIELD=…")
    return fields[name], text


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
