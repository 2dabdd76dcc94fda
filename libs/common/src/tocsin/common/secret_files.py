"""Secrets from files: a setting that holds a secret may be named by its variable and `_FILE`.

So that a password stands in no environment: `systemd` (LoadCredential), Docker and Kubernetes all
hand out secrets as files.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from pydantic import SecretStr

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic.fields import FieldInfo

SUFFIX = "_FILE"
_MOST_BYTES = 64 << 10


def secret_fields(fields: Mapping[str, FieldInfo]) -> list[str]:
    """Name the fields that hold a secret and have no `…_file` beside them that does the same."""
    return [
        name
        for name, field in fields.items()
        if _holds_secret(field.annotation) and f"{name}_file" not in fields
    ]


def read_secret_file(path: Path) -> str:
    """Return what a file holds, without white space around it.

    Raises ValueError, without repeating what it holds, when it cannot be read, holds nothing, or
    over 64 KiB.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
        text = content.decode().strip()
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path} cannot be read: it is not text") from None
    if len(content) > _MOST_BYTES:
        raise ValueError(f"{path} holds over 64 KiB, which is no secret")
    if not text:
        raise ValueError(f"{path} is empty")
    return text


def given_by_file(variable: str) -> Path | None:
    """Return the file that a setting is to be read from, None when no variable names one."""
    named = os.environ.get(variable + SUFFIX, "")
    return Path(named) if named else None


def _holds_secret(annotation: object) -> bool:
    return annotation is SecretStr or any(map(_holds_secret, get_args(annotation)))
