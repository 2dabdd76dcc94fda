"""The rule of telling: whoever was told that something is wrong is told that it is over. Pure.

Order is not decided here: the queue lets a delivery come to its turn only when every earlier one
of the same channel and alert has ended.
"""

from __future__ import annotations

from typing import Final

from tocsin.notify.domain.notification import EventType

NEVER_TOLD: Final = "Its alert was never told here: nothing to take back."


def reason_not_to_tell(event_type: EventType, *, maybe_told: bool) -> str | None:
    """Return why a delivery whose turn has come is not sent, None when it is.

    `maybe_told` says whether this event, or any event of the alert before it, reached the
    channel or may have.
    """
    if event_type is EventType.RESOLVED and not maybe_told:
        return NEVER_TOLD
    return None
