"""How the services' commands tell what is wrong: in plain lines, with an exit code."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from tocsin.common.config import ConfigError
from tocsin.common.errors import TocsinError
from tocsin.common.postgres.reachable import UnreachableError
from tocsin.common.postgres.revisions import MigrationError
from tocsin.common.rpc.server import ListenError

if TYPE_CHECKING:
    from collections.abc import Iterator

FAILED: Final = 1
BAD_SETTINGS: Final = 2


@contextmanager
def problems_told(program: str) -> Iterator[None]:
    """Tell what an operator can mend on stderr, a line for each problem.

    Raises SystemExit: BAD_SETTINGS for settings, FAILED for the rest (a database that does not
    answer, a port that is taken). Any other exception is a bug and passes through.
    """
    try:
        yield
    except ConfigError as error:
        _tell(program, *error.problems)
        raise SystemExit(BAD_SETTINGS) from None
    except (UnreachableError, MigrationError, ListenError) as error:
        _tell(program, str(error))
        raise SystemExit(FAILED) from None
    except TocsinError as error:
        _tell(program, error.message)
        raise SystemExit(FAILED) from None


def _tell(program: str, *problems: str) -> None:
    for problem in problems:
        sys.stderr.write(f"{program}: {problem}\n")
