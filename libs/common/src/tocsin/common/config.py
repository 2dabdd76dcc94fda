"""Settings from the environment: each named, bounded, defaulted and documented.

A setting of a service is an annotated field of a `ServiceSettings` with a description, bounds and
an example; what is wrong with all of them is told at once.
"""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import AfterValidator, BeforeValidator, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict, SettingsError

from tocsin.common.postgres.connecting import database_url
from tocsin.common.secret_files import SUFFIX, given_by_file, read_secret_file, secret_fields

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

_LARGEST_PORT = 65535


class ConfigError(Exception):
    """Settings with which the service cannot run; `problems` has one sentence for each."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class ServiceSettings(BaseSettings):
    """The base of a service's settings; a subclass sets `env_prefix` in its `model_config`.

    An empty variable counts as unset. A setting that holds a secret may be read from a file, which
    the variable of its name and `_FILE` names; see `load_settings`.
    """

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True
    )


Settings = TypeVar("Settings", bound=ServiceSettings)


def load_settings(cls: type[Settings]) -> Settings:
    """Read settings from the environment.

    Raises ConfigError with a line for each thing that is wrong, as
    `TOCSIN_ALERT_LISTEN: has no port; write 127.0.0.1:7070`. No value is repeated: it may be a
    secret.
    """
    secrets, unread = _from_files(cls)
    wrong = [*unread.values(), *_misspelt(cls)]
    try:
        settings = cls(**secrets)
    except ValidationError as error:
        errors = error.errors(include_url=False)
        told = [_problem(cls, each) for each in errors if not unread.keys() & {*each["loc"]}]
        raise ConfigError(*"\n".join(told).splitlines(), *wrong) from None
    except SettingsError as error:
        raise ConfigError(str(error), *wrong) from None
    if wrong:
        raise ConfigError(*wrong)
    return settings


def _from_files(cls: type[Settings]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what files hold for fields, and a sentence for each field that has no such value."""
    read, unread = dict[str, Any](), dict[str, str]()
    for field in secret_fields(cls.model_fields):
        name = variable(cls, field)
        path = given_by_file(name)
        if path is None:
            continue
        if os.environ.get(name):
            unread[field] = f"{name}{SUFFIX}: is set, and so is {name}; set only one of them"
            continue
        try:
            read[field] = read_secret_file(path)
        except ValueError as error:
            unread[field] = f"{name}{SUFFIX}: {error}"
    return read, unread


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One setting as a document lists it. `default` is '' when there is none."""

    name: str
    default: str
    description: str
    bounds: str = ""
    required: bool = False


def setting_rows(cls: type[ServiceSettings]) -> list[SettingRow]:
    """Return every setting of a service, in the order of its fields."""
    in_files = secret_fields(cls.model_fields)
    rows = list[SettingRow]()
    for field, told in cls.model_fields.items():
        name, about = variable(cls, field), told.description or ""
        required = told.is_required()
        rows.append(SettingRow(name, _shown_default(told), about, _bounds(told), required))
        if field in in_files:
            rows.append(SettingRow(name + SUFFIX, "", f"A file that holds it, instead of {name}."))
    return rows


def variable(cls: type[ServiceSettings], field: str) -> str:
    """Return the name of the environment variable that sets a field."""
    return f"{cls.model_config.get('env_prefix', '')}{field}".upper()


def _shown_default(field: FieldInfo) -> str:
    if field.is_required():
        return ""
    default = field.get_default(call_default_factory=True)
    if isinstance(default, tuple | list):
        return ",".join(map(_written, default))
    return "" if default is None else _written(default)


def _bounds(field: FieldInfo) -> str:
    """Tell the bounds of a number: `0 to 300`, `over 0, to 3650`."""
    limits = {
        sign: _written(getattr(bound, sign))
        for bound in field.metadata
        for sign in ("ge", "gt", "le")
        if hasattr(bound, sign)
    }
    least = limits.get("ge") or (f"over {limits['gt']}," if "gt" in limits else "")
    return f"{least} to {limits['le']}".strip() if "le" in limits else ""


def _written(value: object) -> str:
    """Return a value as one writes it into the environment."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def _problem(cls: type[ServiceSettings], error: ErrorDetails) -> str:
    if not error["loc"]:  # of several settings together: the sentence names them itself
        return str(error.get("ctx", {}).get("error", error["msg"]))
    field = str(error["loc"][0])
    name = variable(cls, field)
    if field in secret_fields(cls.model_fields) and given_by_file(name):
        name += SUFFIX
    wrong = _wrong(error)
    hint = "" if "; write " in wrong else _hint(cls.model_fields.get(field))
    return f"{name}: {wrong}{hint}"


def _wrong(error: ErrorDetails) -> str:
    if error["type"] == "missing":
        return "is not set"
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    return "must be " + error["msg"].removeprefix("Input should be ").split(", unable")[0]


def _hint(field: FieldInfo | None) -> str:
    if field is None:
        return ""
    example = field.examples[0] if field.examples else _shown_default(field)
    return f"; write {example}" if example != "" else ""


def _misspelt(cls: type[ServiceSettings]) -> Iterator[str]:
    """Tell variables that are no setting, but nearly one. Others may belong to other programs."""
    prefix = variable(cls, "")
    known = [name.upper() for name in cls.model_fields]
    known += [name.upper() + SUFFIX for name in secret_fields(cls.model_fields)]
    for name in sorted(os.environ):
        own = name.removeprefix(prefix)
        if not name.startswith(prefix) or own in known:
            continue
        near = difflib.get_close_matches(own, known, n=1, cutoff=0.85)
        if near:
            yield f"{name}: is no setting; did you mean {prefix}{near[0]}?"


def _host_and_port(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not host:
        raise ValueError("is no address of the form host:port")
    if not port.isdecimal() or int(port) > _LARGEST_PORT:
        raise ValueError(f"has no port between 0 and {_LARGEST_PORT}")
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        raise ValueError("has an IPv6 address without brackets, as in [::1]:7070")
    return host, int(port)


def _listen_address(text: str) -> str:
    _host_and_port(text)
    return text


def _target(text: str) -> str:
    if _host_and_port(text)[1] == 0:
        raise ValueError("has port 0, which cannot be called")
    return text


def _database_url(secret: SecretStr) -> SecretStr:
    database_url(secret.get_secret_value())
    return secret


def _networks(value: object) -> object:
    if not isinstance(value, str):
        return value
    networks = list[IPv4Network | IPv6Network]()
    for number, part in enumerate(filter(None, map(str.strip, value.split(","))), 1):
        try:
            networks.append(ip_network(part))
        except ValueError as error:
            why = ": bits of the host are set" if "host bits" in str(error) else ""
            raise ValueError(f"has no network as its entry number {number}{why}") from None
    return networks


ListenAddress = Annotated[str, AfterValidator(_listen_address)]
"""host:port to listen on; port 0 takes a free one."""

Target = Annotated[str, AfterValidator(_target)]
"""host:port of another service."""

DatabaseUrl = Annotated[SecretStr, AfterValidator(_database_url)]
"""A PostgreSQL URL. Secret, as it holds a password: read it by `.get_secret_value()`."""

Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode, BeforeValidator(_networks)]
"""CIDRs, with commas between them."""
