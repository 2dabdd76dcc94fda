"""The contract of delivery, sentence by sentence, on a real database."""

from __future__ import annotations

from dataclasses import replace
from datetime import time, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from support.alert_stubs import OTHER_EPOCH, acknowledged, alert_id, an_alert, an_event, resolved
from support.notify_ground import AGAIN, OK, Ground, a_batch
from support.steering import a_route, a_silence, about
from support.storms import FarSide, limited_queue, spec
from tocsin.api.alert.v1.alert_pb2 import SEVERITY_CRITICAL
from tocsin.client.batch import StreamEvent
from tocsin.notify.domain.decision import DecisionReason
from tocsin.notify.domain.delivery import AttemptOutcome, DeliveryState, Receipt
from tocsin.notify.domain.notice import Digest
from tocsin.notify.domain.notification import EventType, Notification
from tocsin.notify.domain.route import QuietHours, Reminders
from tocsin.notify.store.routes import RouteStore
from tocsin.notify.store.silences import SilenceStore

if TYPE_CHECKING:
    from support.clock import ManualClock
    from tocsin.api.alert.v1.alert_pb2 import Alert
    from tocsin.common.postgres.engine import Database
    from tocsin.notify.domain.route import Route

pytestmark = pytest.mark.postgres

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
RAISED, SEVERITY, CAUSE, ACKNOWLEDGED, UNACKNOWLEDGED, RESOLVED, UNSUPPRESSED = (
    EventType.RAISED,
    EventType.SEVERITY_CHANGED,
    EventType.CAUSE_CHANGED,
    EventType.ACKNOWLEDGED,
    EventType.UNACKNOWLEDGED,
    EventType.RESOLVED,
    EventType.UNSUPPRESSED,
)
UNSURE = Receipt(AttemptOutcome.AMBIGUOUS, 0, "connection reset")
REFUSED = Receipt(AttemptOutcome.REFUSED, 404, "404 Not Found")
DECISIONS = "SELECT reason, until_time, by_id FROM decisions ORDER BY decision_id"


class Scene:
    """One channel, and what happens to alerts and to the steering."""

    def __init__(self, ground: Ground, channel_id: UUID, clock: ManualClock) -> None:
        self.ground = ground
        self.channel_id = channel_id
        self.clock = clock
        self.far = FarSide(ground.queue(), channel_id, clock)
        self.routes = RouteStore(ground.database, clock)
        self.silences = SilenceStore(ground.database, clock)

    async def event(self, type: EventType, alert: Alert | None = None) -> None:  # noqa: A002
        """Take in an event, and look at once at what is due."""
        await self.came(type, alert)
        await self.far.answer()

    async def came(self, type: EventType, alert: Alert | None = None) -> None:  # noqa: A002
        alert = alert or (resolved(1) if type is RESOLVED else an_alert(1))
        await self.ground.take_in(an_event(self.ground.next(), alert, type.value))

    async def later(self, duration: timedelta) -> None:
        self.clock.advance(duration)
        await self.far.answer()

    async def silence(self, *numbers: int, duration: timedelta = HOUR) -> UUID:
        silence = a_silence(self.clock.now(), duration, about(*numbers))
        return (await self.silences.create(silence)).silence_id

    async def route(self, **fields: Any) -> Route:
        return await self.routes.create(a_route(self.channel_id, **fields))

    @property
    def told(self) -> list[EventType]:
        """As what the far side heard it, one after the other."""
        return [each.type for each in self.far.heard if isinstance(each, Notification)]

    async def ends(self) -> list[tuple[DeliveryState, DecisionReason]]:
        rows = await self.ground.rows(
            "SELECT state, reason FROM deliveries WHERE channel_id = $1 ORDER BY sequence",
            self.channel_id,
        )
        return [
            (DeliveryState(int(str(state))), DecisionReason(int(str(reason))))
            for state, reason in rows
        ]


@pytest.fixture
async def scene(notify_database: Database, clock: ManualClock) -> Scene:
    ground = Ground(notify_database, clock)
    return Scene(ground, await ground.channel(), clock)


FOLLOWING = [SEVERITY, ACKNOWLEDGED, UNACKNOWLEDGED, CAUSE, UNSUPPRESSED, RESOLVED]


async def test_whoever_was_told_hears_all_that_follows_under_a_later_silence(scene: Scene) -> None:
    await scene.event(RAISED)
    await scene.silence(1, duration=DAY)

    for each in FOLLOWING:
        await scene.event(each)

    assert [RAISED, *FOLLOWING] == scene.told


async def test_whoever_was_told_hears_all_that_follows_under_a_later_change_of_routes(
    scene: Scene,
) -> None:
    await scene.event(RAISED)
    other = await scene.ground.channel()
    await scene.routes.create(a_route(other))

    for each in FOLLOWING:
        await scene.event(each)

    assert [RAISED, *FOLLOWING] == scene.told
    assert [(True,)] == await scene.ground.rows(
        "SELECT DISTINCT follows FROM deliveries d JOIN inbox_events i USING (event_id)"
        " WHERE channel_id = $1 AND i.type <> 1",
        scene.channel_id,
    )


async def test_whoever_was_told_hears_all_that_follows_under_a_later_suppression(
    scene: Scene,
) -> None:
    await scene.event(RAISED, an_alert(2))
    await scene.event(RAISED)

    for each in FOLLOWING[:-1]:
        await scene.event(each, an_alert(1, suppressed_by=alert_id(2)))
    await scene.event(RESOLVED, resolved(1, suppressed_by=alert_id(2)))

    assert [RAISED, RAISED, *FOLLOWING] == scene.told


async def test_whoever_was_told_hears_the_end_at_any_age_and_in_quiet_hours(scene: Scene) -> None:
    await scene.event(RAISED)
    night = QuietHours("UTC", time(0), time(0))
    await scene.route(quiet_hours=night, group_wait=HOUR)
    await scene.later(DAY * 400)

    await scene.event(RESOLVED)

    assert [RAISED, RESOLVED] == scene.told


async def test_whoever_may_have_been_told_hears_the_end(scene: Scene) -> None:
    await scene.came(RAISED)
    [claim] = await scene.far.take()
    await scene.far.queue.settle(claim, UNSURE)
    await scene.silence(1, duration=DAY)
    await scene.came(RESOLVED)

    await scene.later(timedelta(seconds=5))

    assert [RAISED, RESOLVED] == scene.told


async def test_what_never_left_is_not_taken_back(scene: Scene) -> None:
    await scene.silence(1)
    await scene.event(RAISED)
    await scene.event(RESOLVED)

    await scene.later(DAY)

    assert [] == scene.told
    assert [
        (DeliveryState.SUPERSEDED, DecisionReason.COLLAPSED),
        (DeliveryState.SUPPRESSED, DecisionReason.NEVER_TOLD),
    ] == await scene.ends()


async def test_nothing_is_told_of_an_alert_after_its_end(scene: Scene) -> None:
    await scene.came(RAISED)
    [claim] = await scene.far.take()
    await scene.came(SEVERITY)
    await scene.came(RESOLVED)
    await scene.far.queue.settle(claim, UNSURE)

    await scene.later(DAY)

    assert [RAISED, RESOLVED] == scene.told


async def test_what_waits_collapses_into_the_newest_which_says_for_how_many_it_stands(
    scene: Scene,
) -> None:
    await scene.came(RAISED)
    await scene.came(SEVERITY)
    await scene.came(CAUSE, an_alert(1, cause="disk_full"))

    await scene.far.answer()

    [told] = scene.far.heard
    assert isinstance(told, Notification)
    assert (RAISED, 3, "disk_full", 2) == (
        told.type,
        told.revision,
        told.alert.cause,
        told.collapsed_count,
    )
    superseded = (DeliveryState.SUPERSEDED, DecisionReason.COLLAPSED)
    assert [superseded, superseded] == (await scene.ends())[:2]


async def test_what_comes_together_collapses_too(scene: Scene) -> None:
    await scene.ground.take_in(
        an_event(scene.ground.next(), an_alert(1)),
        an_event(scene.ground.next(), an_alert(2)),
        an_event(scene.ground.next(), acknowledged(1), ACKNOWLEDGED.value),
        an_event(scene.ground.next(), resolved(2), RESOLVED.value),
    )

    await scene.far.answer()

    assert [RAISED] == scene.told


async def test_what_is_silenced_is_told_once_when_the_silence_ends(scene: Scene) -> None:
    silence_id = await scene.silence(1)
    end = scene.clock.now() + HOUR
    await scene.event(RAISED)
    await scene.event(SEVERITY)
    await scene.later(HOUR - timedelta(seconds=1))
    assert [] == scene.told

    await scene.later(timedelta(seconds=1))

    assert [RAISED] == scene.told
    held = (DecisionReason.SILENCED.value, end, silence_id)
    assert [held, held] == await scene.ground.rows(DECISIONS)


async def test_what_is_silenced_is_told_at_once_when_the_silence_is_ended(scene: Scene) -> None:
    silence_id = await scene.silence(1, duration=DAY)
    await scene.event(RAISED)

    await scene.silences.expire(silence_id, "ann")
    await scene.far.answer()

    assert [RAISED] == scene.told


async def test_a_second_silence_holds_on_and_only_the_change_is_kept(scene: Scene) -> None:
    first = await scene.silence(1)
    await scene.event(RAISED)
    second = await scene.silence(1, duration=2 * HOUR)
    await scene.later(HOUR)
    assert [] == scene.told

    await scene.later(HOUR)

    assert [RAISED] == scene.told
    assert [first, second] == [by for _, _, by in await scene.ground.rows(DECISIONS)]


async def test_what_another_alert_explains_is_held_and_counted_by_what_is_told_of_that(
    scene: Scene,
) -> None:
    for number in (2, 3):
        await scene.event(RAISED, an_alert(number, suppressed_by=alert_id(1)))
    await scene.event(RAISED)
    await scene.later(DAY)

    [told] = scene.far.heard
    assert isinstance(told, Notification)
    assert (UUID(alert_id(1)), 2) == (told.alert.alert_id, told.explained_count)
    explained = (DecisionReason.EXPLAINED.value, UUID(alert_id(1)))
    assert [explained] * 2 == [(reason, by) for reason, _, by in await scene.ground.rows(DECISIONS)]


async def test_what_falls_due_together_with_what_explains_it_is_counted_too(scene: Scene) -> None:
    await scene.came(RAISED)
    for number in (2, 3):
        await scene.came(RAISED, an_alert(number, suppressed_by=alert_id(1)))
    await scene.far.answer()

    [told] = scene.far.heard
    assert isinstance(told, Notification)
    assert (UUID(alert_id(1)), 2) == (told.alert.alert_id, told.explained_count)


async def test_an_alert_explains_nothing_where_it_is_not_told(scene: Scene) -> None:
    await scene.routes.create(a_route(await scene.ground.channel(), matchers=[about(1)]))
    await scene.route(matchers=[about(2)])
    await scene.event(RAISED)

    await scene.event(RAISED, an_alert(2, suppressed_by=alert_id(1)))

    assert [RAISED] == scene.told


async def test_what_outlives_its_root_is_told_by_itself(scene: Scene) -> None:
    await scene.event(RAISED)
    await scene.event(RAISED, an_alert(2, suppressed_by=alert_id(1)))
    await scene.event(RESOLVED)
    await scene.later(HOUR / 2)
    assert [RAISED, RESOLVED] == scene.told

    await scene.event(UNSUPPRESSED, an_alert(2))

    assert [RAISED, RESOLVED, RAISED] == scene.told


async def test_what_outlives_its_root_is_told_even_if_the_alert_service_says_nothing(
    scene: Scene,
) -> None:
    await scene.event(RAISED)
    await scene.event(RAISED, an_alert(2, suppressed_by=alert_id(1)))
    await scene.event(RESOLVED)

    for _ in range(6):
        await scene.later(HOUR / 4)

    assert [RAISED, RESOLVED, RAISED] == scene.told


async def test_what_is_not_critical_waits_for_the_morning_and_is_told_once(scene: Scene) -> None:
    night = QuietHours("UTC", time(23), time(6))
    await scene.route(quiet_hours=night)
    await scene.event(RAISED)
    await scene.event(SEVERITY)
    await scene.later(HOUR * 5)
    assert [] == scene.told

    await scene.later(HOUR)

    assert [RAISED] == scene.told


async def test_what_becomes_critical_at_night_rings(scene: Scene) -> None:
    await scene.route(quiet_hours=QuietHours("UTC", time(23), time(6)))
    await scene.event(RAISED)

    await scene.event(SEVERITY, an_alert(1, severity=SEVERITY_CRITICAL))

    assert [RAISED] == scene.told


async def test_what_belongs_together_is_told_together_after_the_wait_for_the_first(
    scene: Scene, clock: ManualClock
) -> None:
    scene.far = FarSide(limited_queue(scene.ground, spec(rate=None)), scene.channel_id, clock)
    await scene.route(group_wait=timedelta(minutes=5), max_group_size=3)
    await scene.event(RAISED)
    await scene.later(timedelta(minutes=4))
    for number in (2, 3, 4):
        await scene.event(RAISED, an_alert(number))
    await scene.silence(5)
    await scene.event(RAISED, an_alert(5))
    assert [] == scene.far.heard

    await scene.later(timedelta(minutes=1))

    alone, digest = scene.far.heard
    assert isinstance(digest, Digest)
    assert isinstance(alone, Notification)
    assert 3 == digest.total
    held = (DeliveryState.HELD, DecisionReason.SILENCED)
    assert held in await scene.ends()


async def test_an_event_that_no_route_names_is_kept_with_the_reason(scene: Scene) -> None:
    await scene.route(matchers=[about(2)])

    await scene.event(RAISED)
    await scene.event(RAISED, an_alert(2))

    assert [RAISED] == scene.told
    assert [(DecisionReason.NO_ROUTE.value, None, None)] == await scene.ground.rows(DECISIONS)


async def test_what_waited_for_a_disabled_channel_meets_its_end_there(scene: Scene) -> None:
    await scene.came(RAISED)
    await scene.ground.channels.disable(scene.channel_id, "410 Gone", version=1)
    await scene.event(RESOLVED)
    await scene.ground.channels.update(
        scene.channel_id, lambda present, _: (replace(present, enabled=True), None)
    )

    await scene.far.answer()

    assert [] == scene.told


async def test_a_retry_keeps_to_what_it_was_begun_as(scene: Scene) -> None:
    await scene.came(RAISED)
    await scene.came(SEVERITY)
    [claim] = await scene.far.take()
    await scene.far.queue.settle(claim, UNSURE)

    await scene.later(timedelta(seconds=5))

    first, second = scene.far.heard
    assert first == second
    assert [RAISED, RAISED] == scene.told


async def test_what_failed_for_certain_is_first_news_still_and_may_be_held(scene: Scene) -> None:
    await scene.came(RAISED)
    [claim] = await scene.far.take()
    await scene.far.queue.settle(claim, AGAIN)
    await scene.silence(1)
    await scene.later(HOUR / 2)
    assert [RAISED] == scene.told

    await scene.later(HOUR / 2)

    assert [RAISED, RAISED] == scene.told


async def test_why_it_was_given_up_is_kept(scene: Scene) -> None:
    await scene.came(RAISED)
    for _ in range(3):
        [claim] = await scene.far.take()
        await scene.far.queue.settle(claim, REFUSED)
        scene.clock.advance(HOUR)

    assert [(DeliveryState.DEAD, DecisionReason.REFUSED)] == await scene.ends()


async def test_the_first_reminder_is_due_after_the_first_telling_and_none_once_it_is_known(
    scene: Scene,
) -> None:
    reminders = Reminders(HOUR, 2.0, DAY, 3)
    await scene.route(reminders=reminders)
    due = "SELECT next_reminder_time FROM tellings"

    await scene.event(RAISED)
    assert [(scene.clock.now() + HOUR,)] == await scene.ground.rows(due)
    await scene.event(SEVERITY)
    assert [(scene.clock.now() + HOUR,)] == await scene.ground.rows(due)
    await scene.event(ACKNOWLEDGED, acknowledged(1))
    assert [(None,)] == await scene.ground.rows(due)
    await scene.event(UNACKNOWLEDGED)
    assert [(scene.clock.now() + HOUR,)] == await scene.ground.rows(due)
    await scene.event(RESOLVED)
    assert [(None,)] == await scene.ground.rows(due)


async def test_an_alert_that_a_restored_alert_service_has_open_again_is_told_again(
    scene: Scene,
) -> None:
    await scene.event(RAISED)
    await scene.event(RESOLVED)
    again = an_event(1, an_alert(1), RAISED.value, epoch=OTHER_EPOCH)
    batch = a_batch(again, epoch=OTHER_EPOCH)

    await scene.ground.keep(replace(batch, events=(StreamEvent(again, synthetic=True),)))
    await scene.far.answer()

    assert [RAISED, RESOLVED, RAISED] == scene.told


async def test_a_new_channel_hears_of_an_old_alert_as_raised(scene: Scene) -> None:
    await scene.event(RAISED)
    late = FarSide(scene.ground.queue(), await scene.ground.channel(), scene.clock)

    await scene.came(CAUSE)
    await late.answer(OK)

    assert [RAISED] == [each.type for each in late.heard]
