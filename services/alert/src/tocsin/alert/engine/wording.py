"""Text of observations is kept within bounds, never refused.

It is cut where it enters, so that a long text is not carried through the queue: decisions take
texts as they are.
"""

from __future__ import annotations

MESSAGE_BYTES = 16 * 1024
NOTE_CHARACTERS = 4096
CUT_MARK = " … [cut]"

_MARK_BYTES = len(CUT_MARK.encode())
_WIDEST_CHARACTER = 4  # bytes of UTF-8, RFC 3629


def fit_message(text: str) -> str:
    """Return a text of at most 16 KiB of UTF-8: itself, or its beginning with a mark.

    It is cut between characters, and the mark counts.
    """
    if len(text) * _WIDEST_CHARACTER <= MESSAGE_BYTES:
        return text
    encoded = text.encode()
    if len(encoded) <= MESSAGE_BYTES:
        return text
    return encoded[: MESSAGE_BYTES - _MARK_BYTES].decode(errors="ignore") + CUT_MARK


def fit_note(text: str) -> str:
    """Return a text of at most 4,096 characters: itself, or its beginning with a mark."""
    if len(text) <= NOTE_CHARACTERS:
        return text
    return text[: NOTE_CHARACTERS - len(CUT_MARK)] + CUT_MARK


def fit_output(text: str) -> str:
    """Return what a program said in at most 16 KiB of UTF-8: its beginning, and its end, which
    tells most, with a mark between.
    """
    if len(text) * _WIDEST_CHARACTER <= MESSAGE_BYTES:
        return text
    encoded = text.encode()
    if len(encoded) <= MESSAGE_BYTES:
        return text
    first = MESSAGE_BYTES // 4
    last = MESSAGE_BYTES - first - _MARK_BYTES - 1
    head, tail = encoded[:first], encoded[-last:]
    return f"{head.decode(errors='ignore')}{CUT_MARK}\n{tail.decode(errors='ignore')}"
