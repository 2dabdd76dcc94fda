"""Files of secrets that others on the machine could read."""

from __future__ import annotations

import os
import stat
import sys
from typing import TYPE_CHECKING

from tocsin.common.config import variable
from tocsin.common.secret_files import given_by_file, secret_fields

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tocsin.common.config import ServiceSettings

_ENDINGS = ("key_file", "token_file")


def secret_paths(settings: ServiceSettings) -> Iterator[Path]:
    """Return the files with which a service was given its keys, tokens and passwords."""
    fields = type(settings).model_fields
    for name in fields:
        path = getattr(settings, name)
        if name.endswith(_ENDINGS) and path is not None:
            yield path
    for name in secret_fields(fields):
        given = given_by_file(variable(type(settings), name))
        if given is not None:
            yield given


def open_to_others(paths: Iterable[Path]) -> list[Path]:
    """Return those that others than their owner and group may read or change.

    A group is well: systemd and Kubernetes hand files on by it. So is what lies on a mount that
    nobody can write to: Docker and Kubernetes put secrets there, within a container, where there
    are no others.
    """
    return [path for path in paths if _is_open(path)]


def _is_open(path: Path) -> bool:
    if sys.platform == "win32":  # rights are another matter there
        return False
    try:
        mode = path.stat().st_mode
        handed_in = os.statvfs(path).f_flag & os.ST_RDONLY
    except OSError:  # whoever reads it says so
        return False
    return bool(mode & (stat.S_IROTH | stat.S_IWOTH)) and not handed_in
