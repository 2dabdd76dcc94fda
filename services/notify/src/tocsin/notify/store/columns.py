"""Rows as the arrays that a function of the database takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


def columns_of(rows: Sequence[Sequence[Any]], width: int) -> list[list[Any]]:
    """Return the columns of rows of `width` values: as many empty ones when there are no rows."""
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[]] * width
