"""What the documents show: blocks of code, and what is typed in them."""

from __future__ import annotations

import re
from dataclasses import dataclass

_BLOCK = re.compile(
    r"(?:^<!-- not run: (?P<left_out>.+?) \((?P<reason>.+?)\) -->\n)?"
    r"^```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_CONTINUED = re.compile(r"\\\n\s*")
_REMARK = re.compile(r"(?:^|\s{2,})#\s(.*)$")


@dataclass(frozen=True, slots=True)
class Typed:
    """A line that is typed, the remark at its end, and what the page shows as its answer."""

    line: str
    remark: str = ""
    answer: str = ""


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block. `left_out` begins the lines of it that no machine runs, for that reason."""

    language: str
    text: str
    left_out: str = ""
    reason: str = ""

    @property
    def typed(self) -> list[Typed]:
        """What is typed in it: lines after `$ ` where there are such, else every line."""
        before, *prompted = re.split(r"^\$ ", self.text, flags=re.MULTILINE)
        if prompted:
            return [_with_answer(each) for each in prompted]
        lines = _CONTINUED.sub("", before).splitlines()
        return [_typed(line) for line in lines if line.strip() and not line.startswith("#")]

    @property
    def to_run(self) -> list[Typed]:
        if not self.left_out:
            return self.typed
        return [each for each in self.typed if not each.line.startswith(self.left_out)]


def blocks(page: str, language: str | None = None) -> list[Block]:
    """Return the fenced blocks of a page; with `language`, those of that one ("" is the shell)."""
    found = [
        Block(each["language"], each["text"], each["left_out"] or "", each["reason"] or "")
        for each in _BLOCK.finditer(page)
    ]
    return [each for each in found if language is None or each.language == language]


def section(page: str, heading: str) -> str:
    """Return what stands under a heading of the second level."""
    _, found, rest = page.partition(f"\n## {heading}\n")
    assert found, f"there is no section {heading!r}"
    return rest.partition("\n## ")[0]


def _with_answer(text: str) -> Typed:
    line, _, answer = _CONTINUED.sub("", text).partition("\n")
    typed = _typed(line)
    return Typed(typed.line, typed.remark, answer)


def _typed(line: str) -> Typed:
    remark = _REMARK.search(line)
    return Typed(line[: remark.start()] if remark else line, remark[1] if remark else "")
