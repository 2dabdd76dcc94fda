"""A page is no larger than a client takes by default (4 MiB), whatever its page_size."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable

    from google.protobuf.message import Message

PAGE_BYTES = 3 << 20

M = TypeVar("M", bound="Message")


def fitting(messages: Iterable[M]) -> tuple[list[M], bool]:
    """Return the messages that fit into one page, the first in any case; and whether all did."""
    taken: list[M] = []
    size = 0
    for message in messages:
        size += message.ByteSize()
        if taken and size > PAGE_BYTES:
            return taken, False
        taken.append(message)
    return taken, True
