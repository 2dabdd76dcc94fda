"""Text from elsewhere, made safe for a terminal: it came from hosts that may be anyone's."""

from __future__ import annotations

import unicodedata

# Control and format characters could move the cursor, recolour the screen or turn text around.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_JOINERS = frozenset("\u200c\u200d")  # they belong to words of several scripts and to emoji


def _visible(character: str) -> str:
    if unicodedata.category(character) not in _UNSAFE or character in _JOINERS:
        return character
    return character.encode("unicode_escape").decode("ascii") if character != "\x1b" else "\\e"


def one_line(text: str) -> str:
    """Return text on one line, with what could steer a terminal spelled out."""
    return "".join(_visible(c) for c in " ".join(text.split()))


def lines(text: str) -> list[str]:
    """Return the lines of a text, with what could steer a terminal spelled out."""
    return ["".join(_visible(c) for c in line.expandtabs(4)) for line in text.splitlines()]
