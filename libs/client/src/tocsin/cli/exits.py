"""How the command ends: exit codes that scripts can use, and the error that carries one."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What a script learns from the command's end."""

    OK = 0
    REFUSED = 1
    USAGE = 2
    UNREACHABLE = 3
    SERVER = 4
    NOT_STARTED = 5
    INTERRUPTED = 130


EXIT_CODES_HELP = """\
Exit codes: 0 done; 1 refused, because it does not exist, exists already, or its state does not
allow it; 2 wrong usage, or a value that the server refuses; 3 the server does not answer; 4 the
server has a fault or no room; 5 `tocsin up` could not start; 130 interrupted by Ctrl-C."""


class CommandError(Exception):
    """Ends the command with a message for people, of one to a few lines, and an exit code."""

    def __init__(self, message: str, code: ExitCode = ExitCode.REFUSED) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


class ReaderGoneError(Exception):
    """Who read our output has gone (`tocsin list | head`): the command ends as quietly."""


def wrong_usage(message: str) -> CommandError:
    """Return the error for a value that cannot be right."""
    return CommandError(message, ExitCode.USAGE)
