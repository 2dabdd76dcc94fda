"""Routes and silences, with what a test does not care about filled in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

from tocsin.notify.domain.matcher import Matcher, MatchField, MatchOperator
from tocsin.notify.domain.route import Route
from tocsin.notify.domain.silence import Silence

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime, timedelta
    from uuid import UUID


def about(*numbers: int) -> Matcher:
    """Return a matcher for the alerts of these numbers."""
    keys = tuple(f"group-{number}" for number in numbers)
    return Matcher(MatchField.DEDUP_KEY, MatchOperator.ANY_OF, keys)


def a_route(*channel_ids: UUID, matchers: Iterable[Matcher] = (), **fields: Any) -> Route:
    """Return an enabled route to these channels."""
    route_id = uuid4()
    given = {
        "position": 0,
        "display_name": f"route {route_id}",
        "enabled": True,
        "matchers": tuple(matchers),
        "channel_ids": channel_ids,
    }
    return Route(route_id, **{**given, **fields})


def a_silence(now: datetime, duration: timedelta, *matchers: Matcher) -> Silence:
    """Return a silence that begins now."""
    return Silence(
        silence_id=uuid4(),
        matchers=matchers,
        start_time=now,
        end_time=now + duration,
        recurrence=None,
        duration=None,
        author="ann",
        reason="a test",
        create_time=now,
        created_by="anonymous",
    )
