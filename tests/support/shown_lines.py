"""What a command printed, beside what a page shows: alike but for ids, times and widths."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SHORT = re.compile(r"\b(?=[0-9a-f]*\d)[0-9a-f]{8}\b")
_ID = re.compile(f"{_UUID.pattern}|{_SHORT.pattern}")
_LEFT_OUT = "…"

_ALIKE = (
    (_ID, "ID"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ"), "TIME"),
    (re.compile(r"\b(?:\d+[smhd] ago|in \d+[smhd]|now)\b"), "AGE"),
    (re.compile(r"\bfailed x\d+"), "failed xN"),
    (re.compile(r"whsec_\S+"), "SECRET"),
    (re.compile(r"\s{2,}"), "  "),
)


@dataclass
class ShownLines:
    """Compares answers, and learns what the ids of the page are here."""

    ids: dict[str, str] = field(default_factory=dict)

    def here(self, line: str) -> str:
        """Return a line of the page with the ids of here."""
        return _ID.sub(lambda found: self.ids.get(found[0], found[0]), line)

    def differences(self, shown: str, real: str) -> list[str]:
        """Return what is not as shown, line by line."""
        wanted, came = shown.rstrip("\n").split("\n"), real.rstrip("\n").split("\n")
        if len(wanted) != len(came):
            return [f"{len(came)} lines came, {len(wanted)} are shown:\n{real}"]
        return [
            f"came:  {other}\nshown: {one}"
            for one, other in zip(wanted, came, strict=True)
            if not self._alike(one, other)
        ]

    def _alike(self, shown: str, real: str) -> bool:
        parts = map(re.escape, _plain(shown).split(_LEFT_OUT))
        if re.fullmatch(".*".join(parts), _plain(real)) is None:
            return False
        for one, other in zip(_ID.findall(shown), _ID.findall(real), strict=False):
            if not _known_as(self.ids.setdefault(one, other), other):
                return False
            self.ids.setdefault(one[-8:], other[-8:])
        return True


def _known_as(known: str, came: str) -> bool:
    """Whether two ids may be the same one: the short form is the end of the whole."""
    return known.endswith(came) or came.endswith(known)


def _plain(line: str) -> str:
    for pattern, name in _ALIKE:
        line = pattern.sub(name, line)
    return line.rstrip()
