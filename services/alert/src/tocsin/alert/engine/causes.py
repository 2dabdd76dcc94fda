"""The class of cause: why a job failed, from its exit code and from what the program said.

restic tells by its exit code since 0.17; before, every failure exits with 1 and the text decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.alert.engine.phrases import (
    INTERRUPTED,
    LOCKED,
    NO_REPOSITORY,
    OTHER,
    PHRASES,
    SKIPPED,
    WRONG_PASSWORD,
)

if TYPE_CHECKING:
    from tocsin.alert.engine.phrases import Phrase

_BY_EXIT_CODE = {10: NO_REPOSITORY, 11: LOCKED, 12: WRONG_PASSWORD, 130: INTERRUPTED}
# A shell answers 128 + the number of the signal that ended the program, at most 64.
_SIGNALLED = range(129, 193)


def cause_of(exit_code: int | None, error_text: str) -> str:
    """Return the class of cause of a failure; `other` when nothing tells.

    An exit code that means one thing decides, else the lines that restic calls fatal, else the
    whole text: it also tells of errors that were overcome. A negative exit code is that of a
    signal.
    """
    if exit_code is not None and (exit_code < 0 or exit_code in _SIGNALLED):
        return INTERRUPTED
    if exit_code in _BY_EXIT_CODE:
        return _BY_EXIT_CODE[exit_code]
    fatal = "\n".join(_fatal_lines(_lines(error_text)))
    found = _telling(fatal.lower()) or _telling(error_text.lower())
    return OTHER if found is None else found[0]


def is_source_missing(error_text: str) -> bool:
    """Tell whether a whole source of a backup was not there; a file that vanished is not one."""
    lowered = error_text.lower()
    return any(phrase in lowered for phrase in SKIPPED)


def telling_line(error_text: str) -> str:
    """Return the line that tells most: the last fatal one, else the first that tells the cause.

    Else the last line that is not blank; empty without one.
    """
    lines = _lines(error_text)
    fatal = _fatal_lines(lines)
    if fatal or not lines:
        return (fatal or [""])[-1]
    found = _telling(error_text.lower())
    if found is None:
        return lines[-1]
    return next((line for line in lines if _is_said(line.lower(), found[1])), lines[-1])


def _telling(lowered: str) -> tuple[str, Phrase] | None:
    """Return the phrase that decides, after its class; None when the text has none."""
    return next(
        (
            (cause, phrase)
            for cause, phrases in PHRASES
            for phrase in phrases
            if _is_said(lowered, phrase)
        ),
        None,
    )


def _is_said(lowered: str, phrase: Phrase) -> bool:
    if isinstance(phrase, str):
        return phrase in lowered
    first, second = phrase
    if first not in lowered or second not in lowered:
        return False
    return any(first in line and second in line for line in lowered.splitlines())


def _lines(text: str) -> list[str]:
    return [line for line in map(str.strip, text.splitlines()) if line]


def _fatal_lines(lines: list[str]) -> list[str]:
    return [line for line in lines if line.startswith("Fatal:")]
