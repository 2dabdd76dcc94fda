"""Where the servers of NATS are: an option, a variable, or a file where the URL bears a password.

What stands in an option is seen by everybody on the machine (ps).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from tocsin.cli.exits import wrong_usage
from tocsin.common.secret_files import SUFFIX, read_secret_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

VARIABLE: Final = "TOCSIN_NATS_SERVER"
NATS_PORT_HERE: Final = "nats://127.0.0.1:4222"


def nats_servers(
    option: Sequence[str], environment: Mapping[str, str] = os.environ
) -> tuple[str, ...]:
    """Return the URLs of the option, else of TOCSIN_NATS_SERVER or of the file that it names.

    Several stand in one line, with commas or spaces between them. Raises CommandError for a
    variable and a file of it at once, and for a file that cannot be used.
    """
    given, path = environment.get(VARIABLE, ""), environment.get(VARIABLE + SUFFIX, "")
    if option:
        return tuple(option)
    if given and path:
        raise wrong_usage(f"{VARIABLE} and {VARIABLE}{SUFFIX} are set; set only one of them.")
    try:
        told = read_secret_file(Path(path)) if path else given
    except ValueError as error:
        raise wrong_usage(f"{VARIABLE}{SUFFIX}: {error}.") from None
    return tuple(told.replace(",", " ").split()) or (NATS_PORT_HERE,)


def bears_secret(url: str) -> bool:
    """Whether a URL has a password or a token of NATS before its host."""
    return "@" in urlsplit(url if "://" in url else f"nats://{url}").netloc
