"""The canary goes the whole way, and the heartbeat is sent only if it arrived."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from support.alert import running_alert
from support.alert_stubs import EPOCH, alert_id, an_alert, an_event
from support.notify import running_notify
from support.notify_ground import AGAIN, OK, Ground
from support.receiver import running_receiver
from support.recording_sender import RecordingSender
from support.waiting import eventually
from support.watching_notify import CountedHeartbeat, ScriptedCalls
from tocsin.api.alert.v1.alert_service_pb2 import ListAlertsRequest
from tocsin.common.clock import SystemClock
from tocsin.notify.domain.notification import EventType
from tocsin.notify.store import canary_runs
from tocsin.notify.store.inbox import Cursor, begin_at
from tocsin.notify.sweep.canary import CanaryRule, CanarySweep

if TYPE_CHECKING:
    from support.clock import ManualClock
    from tocsin.common.postgres.engine import Database
    from tocsin.notify.domain.delivery import Receipt

pytestmark = pytest.mark.postgres

PERIOD = timedelta(minutes=5)
CANARY = 7


class Stand:
    """A canary, and each place on its way, which the test plays."""

    def __init__(self, database: Database, clock: ManualClock) -> None:
        self.ground = Ground(database, clock)
        self.clock = clock
        self.calls = ScriptedCalls(canary=UUID(alert_id(CANARY)))
        self.heartbeat = CountedHeartbeat()
        self.channel_id = UUID(int=0)
        self.sweep = self.another()

    def another(self) -> CanarySweep:
        rule = CanaryRule("channel 1", PERIOD)
        return CanarySweep(
            self.ground.database,
            self.calls,
            clock=self.clock,
            rule=rule,
            heartbeat=self.heartbeat,
        )

    async def heard(self) -> None:
        """Let notify hear of the canary by the stream."""
        labels = {"channel_id": str(self.channel_id)}
        alert = an_alert(
            CANARY, host_id="tocsin-notify", kind="canary", dedup_key="", labels=labels
        )
        await self.ground.take_in(an_event(self.ground.next(), alert))

    async def sent(self, receipt: Receipt) -> None:
        queue = self.ground.queue()
        for claim in await queue.claim(self.channel_id, 1):
            await queue.settle(claim, receipt)

    async def problem_of_the_first(self) -> object:
        """Let the period pass, and return why the first run did not arrive."""
        self.clock.advance(PERIOD)
        await self.sweep.step()
        rows = await self.ground.rows("SELECT problem FROM canary_runs ORDER BY start_time")
        assert 2 == len(rows)
        return rows[0][0]


@pytest.fixture
async def stand(notify_database: Database, clock: ManualClock) -> Stand:
    made = Stand(notify_database, clock)
    made.channel_id = await made.ground.channel()
    await made.ground.channel()
    async with notify_database.connection() as connection:
        await begin_at(connection, Cursor(UUID(EPOCH), 0), clock.now())
    return made


async def test_no_canary_is_sent_before_notify_follows_for_it_would_never_hear_of_it(
    stand: Stand,
) -> None:
    await stand.ground.rows("DELETE FROM follower_position")
    await stand.sweep.step()

    assert [] == stand.calls.asked


async def test_a_canary_that_arrives_is_resolved_and_its_heartbeat_sent_once(
    stand: Stand,
) -> None:
    await stand.sweep.step()
    await stand.heard()
    await stand.sent(OK)
    await stand.sweep.step()
    await stand.sweep.step()

    assert ["resolve canary", "canary", "resolve canary"] == stand.calls.asked
    assert 1 == stand.heartbeat.sent
    stand.clock.advance(PERIOD)
    await stand.sweep.step()
    assert ["resolve canary", "canary"] == stand.calls.asked[3:]


async def test_stuck_in_the_alert_service(stand: Stand) -> None:
    stand.calls.away = True
    await stand.sweep.step()
    await stand.sweep.step()

    assert 0 == stand.heartbeat.sent
    assert str(await stand.problem_of_the_first()).startswith("tocsin-alert did not take it")


async def test_stuck_in_the_stream(stand: Stand) -> None:
    await stand.sweep.step()
    await stand.sweep.step()

    assert "Notify has not heard of it from tocsin-alert." == await stand.problem_of_the_first()
    assert 0 == stand.heartbeat.sent


async def test_stuck_in_notify(stand: Stand) -> None:
    await stand.sweep.step()
    await stand.heard()
    await stand.sweep.step()

    assert "The channel has not accepted it: it is PENDING" == await stand.problem_of_the_first()
    assert 0 == stand.heartbeat.sent


async def test_stuck_at_the_channel(stand: Stand) -> None:
    await stand.sweep.step()
    await stand.heard()
    await stand.sent(AGAIN)
    await stand.sweep.step()

    assert (
        "The channel has not accepted it: it is PENDING: 503 Service Unavailable"
        == await stand.problem_of_the_first()
    )
    assert 0 == stand.heartbeat.sent


async def test_a_channel_that_is_disabled_tells_no_canary(stand: Stand) -> None:
    await stand.ground.rows("UPDATE channels SET enabled = false")
    await stand.sweep.step()
    await stand.heard()

    assert (
        "It was addressed to nobody: the channel is disabled." == await stand.problem_of_the_first()
    )


async def test_one_that_arrives_after_its_period_sends_no_heartbeat(stand: Stand) -> None:
    await stand.sweep.step()
    await stand.heard()
    stand.clock.advance(PERIOD + timedelta(seconds=1))
    await stand.sent(OK)
    await stand.sweep.step()

    assert 0 == stand.heartbeat.sent


async def test_a_heartbeat_that_is_not_accepted_is_sent_again(stand: Stand) -> None:
    stand.heartbeat.accepted = False
    await stand.sweep.step()
    await stand.heard()
    await stand.sent(OK)
    await stand.sweep.step()
    stand.heartbeat.accepted = True
    await stand.sweep.step()
    await stand.sweep.step()

    assert 2 == stand.heartbeat.sent


async def test_two_replicas_begin_one_run(stand: Stand) -> None:
    other = stand.another()
    await stand.sweep.step()
    await other.step()

    assert 1 == stand.calls.asked.count("canary")
    assert 1 == len(await stand.ground.rows("SELECT * FROM canary_runs"))


async def test_of_two_replicas_that_want_to_begin_at_once_one_does(stand: Stand) -> None:
    now, begun = stand.clock.now(), []
    for number in (1, 2):
        async with stand.ground.database.transaction() as connection:
            begun.append(await canary_runs.begin(connection, UUID(int=number), now, PERIOD))

    assert [True, False] == begun


async def test_a_canary_that_was_given_up_has_not_arrived(stand: Stand) -> None:
    await stand.sweep.step()
    await stand.heard()
    await stand.ground.rows("UPDATE deliveries SET state = 5, settle_time = $1", stand.clock.now())
    await stand.sweep.step()

    assert 0 == stand.heartbeat.sent


async def test_only_the_chosen_channel_is_told(stand: Stand) -> None:
    await stand.sweep.step()
    await stand.heard()

    rows = await stand.ground.rows("SELECT channel_id FROM deliveries")
    assert [(stand.channel_id,)] == rows


async def test_a_canary_goes_through_both_services_and_the_heartbeat_goes_out(
    notify_url: str, notify_database: Database, alert_url: str
) -> None:
    ground = Ground(notify_database, SystemClock())
    channel_id = await ground.channel()
    sender = RecordingSender()
    async with (
        running_receiver() as receiver,
        running_alert(alert_url) as alert,
        running_notify(
            notify_url,
            alert.target,
            senders=sender,  # type: ignore[arg-type]  # it stands in for all of them
            canary_channel=str(channel_id),
            heartbeat_url=receiver.url,
        ),
    ):
        await eventually(lambda: receiver.requests)

        assert "GET" == receiver.requests[0].method
        assert EventType.RAISED == sender.begun[0].notification.type
        await eventually(
            lambda: EventType.RESOLVED in [each.notification.type for each in sender.begun]
        )
        present = await alert.alerts.ListAlerts(ListAlertsRequest())
        assert [] == list(present.alerts)
