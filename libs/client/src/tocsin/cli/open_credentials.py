"""Tells whoever keeps a token or a key where others can read it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tocsin.common.open_files import open_to_others

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tocsin.cli.output import Output

_VARIABLES: Final = (
    "TOCSIN_TOKEN_FILE",
    "TOCSIN_ALERT_TOKEN_FILE",
    "TOCSIN_NOTIFY_TOKEN_FILE",
    "TOCSIN_TLS_KEY_FILE",
)


def tell_open_files(output: Output, environment: Mapping[str, str] = os.environ) -> None:
    """Say, on standard error, which files of the environment others on this machine may read."""
    given = dict.fromkeys(Path(environment[name]) for name in _VARIABLES if environment.get(name))
    for path in open_to_others(given):
        output.remark(f"Others on this machine may read {path}, which holds a secret: chmod 600.")
