"""Calls of functions of the database, several of which may be put into one statement."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence


class FunctionCall(NamedTuple):
    """A function's call, and its arguments in their order."""

    function: str
    arguments: Sequence[Any]

    @property
    def sql(self) -> str:
        """The call with `$1` and so on for its arguments."""
        return self.sql_after(0)

    def sql_after(self, before: int) -> str:
        """Return the call where `before` other arguments of the statement come first."""
        return _placed(self.function, before, len(self.arguments))


@cache
def _placed(function: str, before: int, count: int) -> str:
    places = ", ".join(f"${place}" for place in range(before + 1, before + count + 1))
    return f"{function}({places})"
