"""A key that flaps becomes one notice, and one at its end."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from support.alert_stubs import alert_id, an_alert, an_event, resolved
from support.notify_ground import Ground
from support.steering import a_route
from support.storms import FarSide
from tocsin.api.alert.v1.alert_pb2 import SEVERITY_CRITICAL
from tocsin.api.alert.v1.event_pb2 import ALERT_EVENT_TYPE_RESOLVED
from tocsin.notify.domain.decision import DecisionReason
from tocsin.notify.domain.delivery import DeliveryState
from tocsin.notify.domain.flap import FlapRule
from tocsin.notify.domain.matcher import Matcher, MatchField, MatchOperator
from tocsin.notify.domain.notice import FlapNotice, NoticeType
from tocsin.notify.domain.notification import EventType
from tocsin.notify.domain.own import KIND_CANARY, OWN_HOST
from tocsin.notify.domain.route import QuietHours
from tocsin.notify.domain.silence import Silence
from tocsin.notify.store.routes import RouteStore
from tocsin.notify.store.silences import SilenceStore
from tocsin.notify.sweep.flap_ends import FlapEnds

if TYPE_CHECKING:
    from support.clock import ManualClock
    from tocsin.api.alert.v1.alert_pb2 import Alert
    from tocsin.common.postgres.engine import Database

pytestmark = pytest.mark.postgres

HOUR = timedelta(hours=1)
RULE = FlapRule(raises=6, window=HOUR, calm=HOUR)
RAISED, RESOLVED = EventType.RAISED, EventType.RESOLVED


@pytest.fixture
def ground(notify_database: Database, clock: ManualClock) -> Ground:
    return Ground(notify_database, clock, RULE)


@pytest.fixture
async def far_side(ground: Ground, clock: ManualClock) -> FarSide:
    return FarSide(ground.queue(), await ground.channel(), clock)


@pytest.fixture
def ends(ground: Ground) -> FlapEnds:
    return ends_of(ground)


def ends_of(ground: Ground, changes: list[None] | None = None) -> FlapEnds:
    return FlapEnds(
        ground.database,
        clock=ground.clock,
        on_change=lambda: None if changes is None else changes.append(None),
    )


async def raise_one(ground: Ground, number: int, **fields: Any) -> None:
    alert = an_alert(number, **{"dedup_key": "home", **fields})
    await ground.take_in(an_event(ground.next(), alert))


async def resolve_one(ground: Ground, number: int, **fields: Any) -> None:
    alert: Alert = resolved(number, **{"dedup_key": "home", **fields})
    await ground.take_in(an_event(ground.next(), alert, ALERT_EVENT_TYPE_RESOLVED))


async def flap(ground: Ground, far_side: FarSide, times: int = 6, **fields: Any) -> None:
    """Raise the key so often, and resolve it each time but the last."""
    for number in range(1, times + 1):
        await raise_one(ground, number, **fields)
        await far_side.answer()
        if number < times:
            await resolve_one(ground, number, **fields)
            await far_side.answer()


def told(far_side: FarSide) -> list[object]:
    return [each.type for each in far_side.heard]


async def test_the_sixth_raise_within_the_hour_is_told_as_flapping_and_no_later_one(
    ground: Ground, far_side: FarSide
) -> None:
    await flap(ground, far_side, times=9)

    assert [RAISED, RESOLVED] * 5 + [NoticeType.FLAPPING] == told(far_side)
    notice = far_side.heard[-1]
    assert isinstance(notice, FlapNotice)
    assert ("web-1", "backup_failed", "home", 6, HOUR, True, alert_id(6)) == (
        notice.host_id,
        notice.kind,
        notice.dedup_key,
        notice.raises,
        notice.window,
        notice.is_open,
        str(notice.alert_id),
    )
    last = (await ground.of(far_side.channel_id))[-1]
    assert (DeliveryState.HELD, DecisionReason.FLAPPING) == (last.state, last.reason)


async def test_once_it_is_calm_that_is_told_and_what_is_still_wrong_by_itself(
    ground: Ground, far_side: FarSide, ends: FlapEnds, clock: ManualClock
) -> None:
    await flap(ground, far_side, times=7)
    clock.advance(HOUR + timedelta(seconds=ground.revision))
    await ends.step()
    await far_side.answer()

    steady, still = far_side.heard[-2:]
    assert {NoticeType.STEADY, RAISED} == {steady.type, still.type}
    [notice] = [m for m in (steady, still) if isinstance(m, FlapNotice)]
    [beginning] = [m for m in far_side.heard if m.type is NoticeType.FLAPPING]
    assert isinstance(beginning, FlapNotice)
    assert (beginning.subject_id, 7, True, alert_id(7)) == (
        notice.subject_id,
        notice.raises,
        notice.is_open,
        str(notice.alert_id),
    )


async def test_what_is_over_when_it_becomes_calm_is_not_told_by_itself(
    ground: Ground, far_side: FarSide, ends: FlapEnds, clock: ManualClock
) -> None:
    await flap(ground, far_side, times=7)
    await resolve_one(ground, 7)
    clock.advance(HOUR + timedelta(seconds=ground.revision))
    await ends.step()
    await far_side.answer()

    assert [NoticeType.FLAPPING, NoticeType.STEADY] == told(far_side)[10:]
    last = far_side.heard[-1]
    assert isinstance(last, FlapNotice)
    assert not last.is_open
    over = await ground.rows("SELECT is_over FROM tellings WHERE alert_id = $1", last.subject_id)
    assert [(True,)] == over  # its beginning is not told after that


async def test_it_does_not_end_before_its_time_and_each_raise_puts_it_off(
    ground: Ground, far_side: FarSide, ends: FlapEnds, clock: ManualClock
) -> None:
    await flap(ground, far_side, times=6)
    ground.revision = 3_000
    clock.advance(seconds=3_000)
    await resolve_one(ground, 6)
    await raise_one(ground, 7)
    clock.advance(seconds=3_000)
    await ends.step()
    await far_side.answer()

    assert NoticeType.FLAPPING is told(far_side)[-1]
    clock.advance(seconds=700)
    await ends.step()
    await far_side.answer()
    assert {NoticeType.STEADY, RAISED} == set(told(far_side)[-2:])


async def test_after_its_end_a_key_must_be_raised_six_times_again(
    ground: Ground, far_side: FarSide, ends: FlapEnds, clock: ManualClock
) -> None:
    await flap(ground, far_side, times=6)
    await resolve_one(ground, 6)
    clock.advance(2 * HOUR)
    ground.revision = 7_200
    await ends.step()
    await raise_one(ground, 7)
    await far_side.answer()

    assert [NoticeType.STEADY, RAISED] == told(far_side)[-2:]


async def test_where_the_beginning_was_not_told_neither_is_the_end(
    ground: Ground, far_side: FarSide, ends: FlapEnds, clock: ManualClock
) -> None:
    for number in range(1, 7):
        await raise_one(ground, number)
        await resolve_one(ground, number)
    clock.advance(2 * HOUR)
    await ends.step()
    await far_side.answer()

    assert [] == far_side.heard


async def test_raises_under_a_silence_do_not_count(ground: Ground, far_side: FarSide) -> None:
    now = ground.clock.now()
    matcher = Matcher(MatchField.HOST_ID, MatchOperator.ANY_OF, ("web-1",))
    silence = Silence(
        silence_id=UUID(int=1),
        matchers=(matcher,),
        start_time=now,
        end_time=now + 24 * HOUR,
        recurrence=None,
        duration=None,
        author="ann",
        reason="at work",
        create_time=now,
        created_by="ann",
    )
    await SilenceStore(ground.database, ground.clock).create(silence)
    await flap(ground, far_side, times=9)

    assert [] == far_side.heard
    last = (await ground.of(far_side.channel_id))[-1]
    assert (DeliveryState.HELD, DecisionReason.SILENCED) == (last.state, last.reason)


async def test_raises_that_another_alert_explains_do_not_count(
    ground: Ground, far_side: FarSide
) -> None:
    await flap(ground, far_side, times=9, suppressed_by=alert_id(99))

    assert [] == await ground.rows("SELECT 1 FROM flaps")


async def test_notifys_own_alerts_never_flap(ground: Ground, far_side: FarSide) -> None:
    labels = {"channel_id": str(far_side.channel_id)}
    await flap(ground, far_side, times=9, host_id=OWN_HOST, kind=KIND_CANARY, labels=labels)

    assert [RAISED, RESOLVED] * 8 + [RAISED] == told(far_side)


async def test_keys_do_not_count_for_each_other(ground: Ground, far_side: FarSide) -> None:
    for number in range(1, 13):
        await raise_one(ground, number, dedup_key=f"group-{number % 3}")
    await far_side.answer()

    assert [RAISED] * 12 == told(far_side)


async def test_a_channel_that_was_not_told_so_hears_of_each_raise(
    ground: Ground, far_side: FarSide, clock: ManualClock
) -> None:
    await flap(ground, far_side, times=6)
    newcomer = FarSide(ground.queue(), await ground.channel(), clock)
    await resolve_one(ground, 6)
    await raise_one(ground, 7)
    await far_side.answer()
    await newcomer.answer()

    assert (NoticeType.FLAPPING, [RAISED]) == (told(far_side)[-1], told(newcomer))


async def test_what_becomes_critical_rings_while_the_notice_itself_waits_for_the_morning(
    ground: Ground, far_side: FarSide, clock: ManualClock
) -> None:
    night = QuietHours("UTC", clock.now().time(), (clock.now() + HOUR / 2).time())
    quiet = a_route(far_side.channel_id, quiet_hours=night)
    await RouteStore(ground.database, clock).create(quiet)
    await flap(ground, far_side)
    await resolve_one(ground, 6)
    assert [] == far_side.heard

    await raise_one(ground, 7, severity=SEVERITY_CRITICAL)
    await far_side.answer()
    assert [RAISED] == [each.type for each in far_side.heard]

    await raise_one(ground, 8)
    clock.advance(HOUR / 2)
    await far_side.answer()
    assert [RAISED, NoticeType.FLAPPING] == [each.type for each in far_side.heard]


async def test_raises_that_are_taken_in_long_after_they_happened_begin_nothing(
    ground: Ground, far_side: FarSide, clock: ManualClock
) -> None:
    clock.advance(timedelta(days=2))
    for number in range(1, 9):
        await raise_one(ground, number)
    await far_side.answer()

    assert [RAISED] * 8 == told(far_side)


async def test_of_several_replicas_one_ends_it(
    ground: Ground, far_side: FarSide, clock: ManualClock
) -> None:
    await flap(ground, far_side, times=6)
    clock.advance(2 * HOUR)
    changes: list[None] = []

    await asyncio.gather(*(ends_of(ground, changes).step() for _ in range(4)))
    await far_side.answer()

    assert 1 == told(far_side).count(NoticeType.STEADY)
    assert 1 == len(changes)
    assert [] == await ground.rows("SELECT 1 FROM flaps")


async def test_keys_that_never_flapped_are_forgotten(
    ground: Ground, ends: FlapEnds, clock: ManualClock
) -> None:
    await ground.channel()
    await raise_one(ground, 1)
    assert [("home",)] == await ground.rows("SELECT dedup_key FROM flaps")

    clock.advance(2 * HOUR)
    await ends.step()

    assert [] == await ground.rows("SELECT 1 FROM flaps")
