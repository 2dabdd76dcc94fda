"""Where answers go: tables and lines for people, or one JSON document for programs."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, TextIO

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from rich.console import Console
from rich.text import Text

from tocsin.cli.exits import ReaderGoneError
from tocsin.cli.grid import layout
from tocsin.cli.text import lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tocsin.cli.grid import Cell

# Off a terminal nothing is cut or wrapped, so that every row is one line for grep.
_UNBOUNDED = 100_000


def as_json(message: Message) -> dict[str, Any]:
    """Return a message in the JSON form of protobuf, fields named as in the contract."""
    return MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


class Output:
    """The standard output and error of one run of the command."""

    def __init__(
        self, *, json_wanted: bool, out: TextIO | None = None, err: TextIO | None = None
    ) -> None:
        self.json_wanted = json_wanted
        self._file = out or sys.stdout
        self._on_terminal = self._file.isatty()
        self._out = _console(self._file, on_terminal=self._on_terminal)
        self._err = err or sys.stderr

    @property
    def width(self) -> int:
        """How many columns a line has."""
        return self._out.width

    def document(self, content: Message | Mapping[str, Any]) -> None:
        """Print one JSON document: indented on a terminal, on one line elsewhere."""
        plain = as_json(content) if isinstance(content, Message) else content
        indent = 2 if self._on_terminal else None
        print(json.dumps(plain, indent=indent, ensure_ascii=False), file=self._file, flush=True)

    def json_line(self, content: Mapping[str, Any]) -> None:
        """Print one line of JSON lines (https://jsonlines.org)."""
        print(json.dumps(content, ensure_ascii=False), file=self._file, flush=True)

    def line(self, *parts: Text | str) -> None:
        """Print one line. A str is printed as it is: make it safe first when it came from far."""
        told = Text(" ").join(p if isinstance(p, Text) else Text(p) for p in parts)
        self._out.print(told, soft_wrap=True)
        self._file.flush()

    def fields(self, named: Iterable[tuple[str, str | Text]]) -> None:
        """Print names and values under each other, those that are empty left out."""
        given = [(name, value) for name, value in named if str(value)]
        width = max((len(name) for name, _ in given), default=0)
        for name, value in given:
            texts = [value] if isinstance(value, Text) else [Text(v) for v in lines(value)]
            for index, text in enumerate(texts):
                head = name if index == 0 else ""
                self.line(Text(f"  {head:<{width}} ", style="dim"), text)

    def table(self, headings: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
        """Print rows under headings, as wide as the terminal, or uncut where there is none."""
        for line in layout(headings, rows, self.width):
            self._out.print(line, soft_wrap=True)
        self._file.flush()

    def remark(self, text: str) -> None:
        """Print a line beside the answer, on standard error."""
        print(text, file=self._err, flush=True)


class _Console(Console):
    def on_broken_pipe(self) -> None:  # rich's own would end the program with 1
        raise ReaderGoneError


def _console(file: TextIO, *, on_terminal: bool) -> Console:
    return _Console(
        file=file,
        markup=False,
        highlight=False,
        emoji=False,
        soft_wrap=False,
        width=None if on_terminal else _UNBOUNDED,
    )
