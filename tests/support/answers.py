"""An answer as a page shows it, beside the one that came: alike but for ids, times and secrets."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

LEFT_OUT = "…"
"""In a page: more fields or items here, or more of this text, that are not shown."""

_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?Z")
_LENGTH = re.compile(r"-?\d+(?:\.\d+)?s")


@dataclass
class Likeness:
    """What the page's ids are here and now, and how much later it is than on the page."""

    ids: dict[str, str] = field(default_factory=dict)
    later: timedelta = timedelta(0)

    def here(self, line: str) -> str:
        """Return a line of the page with the ids and the times of here and now."""
        line = _ID.sub(lambda found: self.ids.get(found[0], found[0]), line)
        return _TIME.sub(lambda found: _shifted(found[0], self.later), line)

    def differences(self, shown: Any, real: Any, at: str = "answer") -> list[str]:
        """Compare, and learn the ids: what is not as shown, with its place."""
        if isinstance(shown, dict) and isinstance(real, dict):
            return self._of_fields(shown, real, at)
        if isinstance(shown, list) and isinstance(real, list):
            return self._of_items(shown, real, at)
        if isinstance(shown, str) and isinstance(real, str) and self._alike(shown, real):
            return []
        return [] if shown == real else [f"{at}: {real!r} came, not {shown!r}"]

    def _of_fields(self, shown: dict[str, Any], real: dict[str, Any], at: str) -> list[str]:
        names = shown.keys() - {LEFT_OUT}
        more = set() if LEFT_OUT in shown else real.keys() - names
        wrong = [f"{at}: {name} did not come" for name in sorted(names - real.keys())]
        wrong += [f"{at}: {name} is not shown" for name in sorted(more)]
        for name in sorted(names & real.keys()):
            wrong += self.differences(shown[name], real[name], f"{at}.{name}")
        return wrong

    def _of_items(self, shown: list[Any], real: list[Any], at: str) -> list[str]:
        items = [each for each in shown if each != LEFT_OUT]
        enough = len(items) <= len(real) if len(items) < len(shown) else len(items) == len(real)
        wrong = [] if enough else [f"{at}: {len(real)} came, {len(items)} are shown"]
        for number, (one, other) in enumerate(zip(items, real, strict=False)):
            wrong += self.differences(one, other, f"{at}[{number}]")
        return wrong

    def _alike(self, shown: str, real: str) -> bool:
        if _ID.fullmatch(shown) and _ID.fullmatch(real):
            return self.ids.setdefault(shown, real) == real
        if _LENGTH.fullmatch(shown) and _LENGTH.fullmatch(real):
            return True
        shown, real = (_TIME.sub("a time", each) for each in (shown, real))
        wanted = ".*".join(map(re.escape, shown.split(LEFT_OUT)))
        return re.fullmatch(wanted, real, re.DOTALL) is not None


def first_time(text: str) -> datetime:
    """Return the first time in a text. Raises AssertionError when there is none."""
    found = _TIME.search(text)
    assert found, "the page shows no time"
    return datetime.fromisoformat(found[0])


def _shifted(moment: str, later: timedelta) -> str:
    shifted = datetime.fromisoformat(moment) + later
    return shifted.isoformat(timespec="seconds").replace("+00:00", "Z")
