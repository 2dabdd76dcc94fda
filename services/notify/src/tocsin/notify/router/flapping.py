"""When a key flaps: raised so often that it is told once, and once when it is over. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

    from tocsin.notify.domain.flap import Flap, FlapRule

MOST_KEPT: Final = 100
"""How many raises of a key are remembered."""


def note(flap: Flap, at: datetime, rule: FlapRule) -> tuple[Flap, bool]:
    """Return what is remembered of a key after it was raised, and whether it begins to flap.

    It flaps once it was raised `rule.raises` times within `rule.window`, until no raise came for
    `rule.calm`. While it does not flap, `until` is when its raises may be forgotten. Raises may
    come in any order. Whoever begins a flap sets `subject_id`.
    """
    times = sorted((*flap.raise_times, at))
    latest = times[-1]
    recent = tuple(time for time in times if latest - time < rule.window)[-MOST_KEPT:]
    is_flapping = flap.subject_id is not None
    begins = not is_flapping and 0 < rule.raises <= len(recent)
    until = latest + (rule.calm if begins or is_flapping else rule.window)
    return replace(flap, raise_times=recent, until=until), begins
