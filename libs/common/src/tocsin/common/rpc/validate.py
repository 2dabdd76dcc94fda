"""Checks of single fields, for the requests of both services.

Each notes in `found` what is wrong and what to write instead, so that a caller is told of
everything at once. Lengths count characters (Unicode code points).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tocsin.common.errors import Violations

ID_CHARACTERS = 256
LABELS = 32
LABEL_NAME_CHARACTERS = 64
LABEL_VALUE_CHARACTERS = 256
NOTE_CHARACTERS = 4096
REQUEST_ID_CHARACTERS = 128
PAGE_SIZE_DEFAULT = 100
PAGE_SIZE_MOST = 1000

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_SURROGATE = re.compile("[\ud800-\udfff]")
_SHOWN_CHARACTERS = 64


def check_text(found: Violations, path: str, value: str, *, most: int, least: int = 0) -> None:
    """Note a text that is too short, too long, or that PostgreSQL cannot hold."""
    if least <= len(value) <= most and is_plain(value):
        return
    if not least <= len(value) <= most:
        if not value:
            found.add(path, f"must not be empty; write {least} to {most:,} characters")
        else:
            found.add(
                path, f"has {len(value):,} characters; write {_range(least, most)} characters"
            )
    check_characters(found, path, value)


def check_characters(found: Violations, path: str, value: str) -> None:
    """Note a text with characters that PostgreSQL cannot hold."""
    if is_plain(value):
        return
    if "\0" in value:
        found.add(path, "holds a NUL character (U+0000); leave it out")
    if _SURROGATE.search(value):
        found.add(path, "holds half of a surrogate pair; send whole characters as UTF-8")


def check_texts(
    found: Violations, path: str, values: Sequence[str], *, most_items: int, most: int
) -> None:
    """Note a list that is too long, and each empty or wrong text in it."""
    if len(values) > most_items:
        found.add(path, f"has {len(values):,} entries; write at most {most_items:,}")
        return
    for index, value in enumerate(values):
        check_text(found, f"{path}[{index}]", value, least=1, most=most)


def check_labels(found: Violations, path: str, labels: Mapping[str, str]) -> None:
    """Note what is wrong with labels: their number, and each name and value."""
    if len(labels) > LABELS:
        found.add(path, f"has {len(labels):,} labels; write at most {LABELS}")
        return
    for name, value in labels.items():
        if not (
            1 <= len(name) <= LABEL_NAME_CHARACTERS
            and len(value) <= LABEL_VALUE_CHARACTERS
            and is_plain(name)
            and is_plain(value)
        ):
            _check_label(found, f"{path}[{shown(name)}]", name, value)


def _check_label(found: Violations, path: str, name: str, value: str) -> None:
    if not 1 <= len(name) <= LABEL_NAME_CHARACTERS:
        found.add(
            path, f"has a name of {len(name):,} characters; write 1 to {LABEL_NAME_CHARACTERS}"
        )
    check_characters(found, path, name)
    check_text(found, path, value, most=LABEL_VALUE_CHARACTERS)


def read_uuid(found: Violations, path: str, value: str) -> UUID | None:
    """Return the UUID that a text holds, or note that it holds none."""
    if _UUID.fullmatch(value):
        return UUID(value)
    said = f"{shown(value)!r} is not a UUID" if value else "must not be empty"
    found.add(path, f"{said}; write one such as 0190b5a8-7d5c-7c3e-8a53-1f2e3d4c5b6a")
    return None


def read_choice(found: Violations, path: str, number: int, names: Mapping[int, str]) -> int | None:
    """Return the number of an enum value if it is among `names`, else note what may be written.

    Enums are open on the wire: any number can come.
    """
    if number in names:
        return number
    found.add(path, f"has no value {number}; write one of {', '.join(names.values())}")
    return None


def read_page_size(found: Violations, path: str, value: int) -> int:
    """Return how many a page holds: 100 for 0, at most 1,000. Notes a negative size."""
    if value < 0:
        found.add(path, f"is {value}; write 1 to {PAGE_SIZE_MOST:,}, or 0 for {PAGE_SIZE_DEFAULT}")
    return min(value, PAGE_SIZE_MOST) if value > 0 else PAGE_SIZE_DEFAULT


def shown(value: str) -> str:
    """Return a caller's text as it may be repeated: short, and printable."""
    short = value if len(value) <= _SHOWN_CHARACTERS else value[: _SHOWN_CHARACTERS - 1] + "…"
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in short)


def is_plain(value: str) -> bool:
    """Whether a text holds nothing that PostgreSQL cannot."""
    return "\0" not in value and (value.isascii() or not _SURROGATE.search(value))


def _range(least: int, most: int) -> str:
    return f"{least} to {most:,}" if least else f"at most {most:,}"
