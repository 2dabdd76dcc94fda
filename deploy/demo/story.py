"""The story: two backups of one host fail, ring, are settled and fall silent."""

from __future__ import annotations

from contextlib import ExitStack, redirect_stdout
from datetime import UTC, datetime
from io import StringIO
from typing import TYPE_CHECKING

import restic as backups
from receiver import Receiver, Request

from tocsin.api.alert.v1.alert_pb2 import ALERT_STATUS_ACKNOWLEDGED, Alert
from tocsin.api.alert.v1.alert_service_pb2 import ClearOutcome, RaiseOutcome
from tocsin.api.notify.v1.channel_pb2 import Channel, WebhookConfig
from tocsin.api.notify.v1.delivery_pb2 import DeliveryState
from tocsin.cli.alert_view import event_type
from tocsin.cli.main import run as tocsin
from tocsin.cli.references import short_id
from tocsin.client import SyncAlertClient, SyncBackupClient, SyncNotifyClient

if TYPE_CHECKING:
    from stage import Stage

    from tocsin.api.alert.v1.alert_service_pb2 import RaiseOrTouchResponse
    from tocsin.cli.stack.stack import StackSettings

HOST = "web-1"
KIND = "backup_failed"
PHOTOS, DATABASE = backups.PHOTOS, backups.DATABASE
_SECONDS = 10.0
_MESSAGES = 5  # two raised, one acknowledged, two resolved


class Story:
    """The steps, in order. Any of them raises NotSeenError."""

    def __init__(self, stage: Stage, settings: StackSettings, restic: backups.Restic) -> None:
        self._stage = stage
        self._settings = settings
        self._restic = restic
        self._alerts = SyncAlertClient(settings.alert_target)
        self._notify = SyncNotifyClient(settings.notify_target)
        self._receiver = Receiver()

    def run(self) -> None:
        """Tell it."""
        with ExitStack() as ends:
            for each in (self._alerts, self._notify, self._receiver):
                ends.enter_context(each)
            self._name_the_host()
            self._create_the_channel()
            self._good_backups_are_silent()
            photos, database = self._both_groups_fail()
            self._both_ring()
            self._failing_again_only_counts(photos)
            self._acknowledge(photos)
            self._heal(photos)
            self._resolve_by_hand(database)
            self._look_back(photos)

    def _name_the_host(self) -> None:
        with SyncBackupClient(self._settings.alert_target) as hosts:
            hosts.put_host(HOST, name="Web server 1")

    def _create_the_channel(self) -> None:
        self._stage.step("A webhook channel is created; its receiver checks every signature")
        wanted = Channel(
            display_name="on-call", enabled=True, webhook=WebhookConfig(url=self._receiver.url)
        )
        answer = self._notify.create_channel(wanted)
        self._receiver.secret = answer.generated_signing_secret
        self._stage.expect(bool(self._receiver.secret), "a signing secret, shown once")
        self._stage.tell(f"POST {self._receiver.url}, secret {self._receiver.secret[:10]}…")

    def _good_backups_are_silent(self) -> None:
        self._stage.step(f"{HOST} backs up two source groups: both succeed, nothing rings")
        for group in (PHOTOS, DATABASE):
            run = self._back_up(f"{group} good")
            self._stage.expect(run.succeeded, f"a backup of {group} that succeeds")
            answer = self._alerts.auto_resolve(HOST, KIND, group, observe_time=_now())
            nothing = ClearOutcome.CLEAR_OUTCOME_NOTHING_OPEN
            self._stage.expect(answer.outcome == nothing, "a success with nothing to clear")

    def _both_groups_fail(self) -> tuple[Alert, Alert]:
        self._stage.step(
            "Somebody unplugs the disk with the photos, and changes the database's password"
        )
        alerts = []
        for group in (PHOTOS, DATABASE):
            answer = self._report_failure(group)
            raised = answer.outcome == RaiseOutcome.RAISE_OUTCOME_RAISED
            self._stage.expect(raised, f"an alert raised for {group}")
            alerts.append(answer.alert)
        self._stage.step("Two groups of one host, two alerts:")
        self._tocsin("list")
        listed = {alert.dedup_key for alert in self._alerts.list_alerts()}
        self._stage.expect(listed == {PHOTOS, DATABASE}, "one open alert for each group")
        return alerts[0], alerts[1]

    def _both_ring(self) -> None:
        self._stage.step("… and two signed requests, as the receiver saw them:")
        requests = self._arrived(2)
        for request in requests:
            self._tell_request(request)
        keys = {request.body["data"]["alert"]["dedup_key"] for request in requests}
        self._stage.expect(keys == {PHOTOS, DATABASE}, "one request for each alert")
        self._stage.expect({r.type for r in requests} == {"alert.raised"}, "type alert.raised")

    def _failing_again_only_counts(self, photos: Alert) -> None:
        self._stage.step("The photos fail again: the alert counts it, nobody is disturbed")
        answer = self._report_failure(PHOTOS)
        seen = (answer.alert.alert_id, answer.alert.occurrences)
        self._stage.expect(seen == (photos.alert_id, 2), "the same alert, seen twice")
        self._stage.tell(f"occurrences: {answer.alert.occurrences}")

    def _acknowledge(self, photos: Alert) -> None:
        self._stage.step("Somebody takes the photos on")
        self._tocsin(
            "ack", short_id(photos.alert_id), "--note", "looking for the disk", "--for", "4h"
        )
        status = self._alerts.get_alert(photos.alert_id).status
        self._stage.expect(status == ALERT_STATUS_ACKNOWLEDGED, "an acknowledged alert")
        # In order per alert: had the touch made a message, it would stand before this one.
        self._tell_next(3, "alert.acknowledged", PHOTOS)

    def _heal(self, photos: Alert) -> None:
        self._stage.step("The disk is back: the next backup succeeds and resolves the alert")
        run = self._back_up(f"{PHOTOS} healed")
        self._stage.expect(run.succeeded, "a backup of photos that succeeds")
        answer = self._alerts.auto_resolve(HOST, KIND, PHOTOS, observe_time=_now())
        healed = answer.outcome == ClearOutcome.CLEAR_OUTCOME_RESOLVED
        self._stage.expect(healed and answer.alert.alert_id == photos.alert_id, "it is resolved")
        left = [alert.dedup_key for alert in self._alerts.list_alerts()]
        self._stage.expect(left == [DATABASE], "the alert of the database, still there")
        self._tell_next(4, "alert.resolved", PHOTOS)

    def _resolve_by_hand(self, database: Alert) -> None:
        self._stage.step("The database is moving anyway: its alert is resolved by hand")
        self._tocsin("resolve", short_id(database.alert_id), "--note", "moved to another host")
        self._tell_next(5, "alert.resolved", DATABASE)
        self._tocsin("list")
        self._stage.expect(not list(self._alerts.list_alerts()), "nothing open any more")

    def _look_back(self, photos: Alert) -> None:
        self._stage.step("What happened to the photos, and who was told:")
        delivered = DeliveryState.DELIVERY_STATE_DELIVERED
        self._stage.wait_for(
            lambda: list(self._notify.list_deliveries()),
            lambda seen: [each.state for each in seen] == [delivered] * _MESSAGES,
            f"{_MESSAGES} deliveries, all delivered",
        )
        self._tocsin("show", short_id(photos.alert_id))
        events = [event_type(event) for event in self._alerts.list_alert_events(photos.alert_id)]
        timeline = ["raised", "acknowledged", "resolved"]
        self._stage.expect(events == timeline, f"the timeline {', '.join(timeline)}")
        self._arrived(_MESSAGES)

    def _back_up(self, step: str) -> backups.Run:
        run = self._restic.run(step)
        self._stage.tell(f"$ {run.command}")
        if run.succeeded:
            self._stage.tell(f"{run.files} files saved, exit code 0")
        else:
            self._stage.tell("\n".join(run.words))
            self._stage.tell(f"exit code {run.exit_code}")
        return run

    def _report_failure(self, group: str) -> RaiseOrTouchResponse:
        run = self._back_up(f"{group} broken")
        self._stage.expect(not run.succeeded, f"a backup of {group} that fails")
        return self._alerts.raise_or_touch(
            HOST,
            KIND,
            group,
            message="\n".join(run.words),
            cause=run.cause,
            labels={"repository": "nightly"},
            observe_time=_now(),
        )

    def _arrived(self, count: int) -> list[Request]:
        requests = self._receiver.wait_for(lambda seen: len(seen) >= count, _SECONDS)
        self._stage.expect(
            len(requests) == count, f"{count} requests within {_SECONDS:.0f} s, not {len(requests)}"
        )
        self._stage.expect(all(r.signature_is_valid for r in requests), "valid signatures")
        unique = {request.webhook_id for request in requests}
        self._stage.expect(len(unique) == count, "a webhook-id of its own on each request")
        return requests

    def _tell_next(self, count: int, kind: str, group: str) -> None:
        request = self._arrived(count)[-1]
        self._tell_request(request)
        about = request.body["data"]["alert"]["dedup_key"]
        self._stage.expect((request.type, about) == (kind, group), f"{kind} about {group}")

    def _tell_request(self, request: Request) -> None:
        self._stage.tell(f"<- {request.type}: {request.body['data']['summary']}")
        self._stage.tell(f"   webhook-id {request.webhook_id}, signature verified")

    def _tocsin(self, *words: str) -> None:
        """Run the `tocsin` command as a person would."""
        self._stage.tell(f"$ tocsin {' '.join(_quoted(word) for word in words)}")
        alert, notify = self._settings.alert_target, self._settings.notify_target
        with redirect_stdout(StringIO()) as told:
            ended = tocsin([*words, "--target", alert, "--notify-target", notify])
        self._stage.tell(told.getvalue())
        self._stage.expect(ended == 0, f"`tocsin {words[0]}` ending with 0, not {ended}")


def _now() -> datetime:
    return datetime.now(UTC)


def _quoted(word: str) -> str:
    return f'"{word}"' if " " in word else word
