"""Tokens, grants and the audit trail, as an admin keeps them."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import asyncpg
import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from structlog.testing import capture_logs

from support.alert import alert_settings, running_alert
from support.half_calls import half_calls
from support.identity import Credentials, bearing, code_of_call
from support.pems import Pems
from support.postgres import migrations_of
from support.waiting import eventually
from tocsin.alert.app import AlertApp
from tocsin.api.alert.v1 import alert_service_pb2 as alert_pb
from tocsin.api.alert.v1 import backup_pb2 as backup_types
from tocsin.api.alert.v1 import backup_service_pb2 as backup_pb
from tocsin.api.auth.v1 import credential_pb2, identity_service_pb2
from tocsin.api.auth.v1.identity_service_pb2_grpc import IdentityServiceStub
from tocsin.common.config import ConfigError
from tocsin.common.identity.roles import Role
from tocsin.common.identity.tokens import digest_of
from tocsin.common.identity.watch import CredentialWatch
from tocsin.common.postgres.engine import Database
from tocsin.common.postgres.migrator import migrate
from tocsin.common.rpc.reflection import V1

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from support.alert import RunningAlert
    from support.clock import ManualClock
    from tocsin.common.postgres.embedded import Cluster

pytestmark = pytest.mark.postgres

pb: Any = identity_service_pb2
ORCHESTRATOR = credential_pb2.ROLE_ORCHESTRATOR
OPERATOR = credential_pb2.ROLE_OPERATOR
A_FAILURE = alert_pb.RaiseOrTouchRequest(host_id="web-1", kind="backup_failed")


class Site:
    """A service that asks for credentials, and its admin."""

    def __init__(self, alert: RunningAlert, admin: str) -> None:
        self.alert = alert
        self.admin = bearing(admin)
        self.identity: Any = IdentityServiceStub(alert.channel)

    async def ask(self, method: str, metadata: Any = None, /, **request: Any) -> Any:
        """Call a method of IdentityService, as the admin unless told otherwise."""
        message = getattr(pb, f"{method}Request")(**request)
        return await getattr(self.identity, method)(
            message, metadata=self.admin if metadata is None else metadata
        )

    async def token(self, name: str, *roles: int, **more: Any) -> str:
        made = await self.ask("CreateToken", name=name, roles=roles, **more)
        return str(made.token)

    async def audited(self, **wanted: Any) -> list[tuple[str, str, str]]:
        entries = (await self.ask("ListAuditEntries", **wanted)).entries
        return [(each.actor, each.method, each.subject) for each in entries]


@pytest.fixture
async def site(alert_url: str, clock: ManualClock) -> AsyncIterator[Site]:
    admin = await Credentials(alert_url).token(Role.ADMIN, name="root")
    async with running_alert(alert_url, clock=clock, insecure_dev=False) as alert:
        yield Site(alert, admin)


async def refused(call: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as told:
        await call
    return told.value.code(), told.value.details() or ""


async def test_a_token_works_at_once_in_the_server_that_made_it(site: Site) -> None:
    token = await site.token("nightly", ORCHESTRATOR)

    raised = await site.alert.alerts.RaiseOrTouch(A_FAILURE, metadata=bearing(token))

    assert alert_pb.RAISE_OUTCOME_RAISED == raised.outcome


async def test_a_revoked_token_fails_at_once_there(site: Site) -> None:
    made = await site.ask("CreateToken", name="nightly", roles=[ORCHESTRATOR])
    revoked = await site.ask("RevokeCredential", credential_id=made.credential.credential_id)

    code, said = await refused(
        site.alert.alerts.RaiseOrTouch(A_FAILURE, metadata=bearing(made.token))
    )

    assert (True, "root") == (revoked.changed, revoked.credential.revoked_by)
    assert (grpc.StatusCode.UNAUTHENTICATED, True) == (code, "was revoked" in said)
    again = await site.ask("RevokeCredential", credential_id=made.credential.credential_id)
    assert not again.changed


async def test_another_server_of_the_database_learns_of_it_within_two_seconds(
    site: Site, alert_url: str
) -> None:
    async with running_alert(alert_url, insecure_dev=False) as other:
        token = await site.token("nightly", ORCHESTRATOR)

        async def is_known() -> bool:
            method = "/tocsin.api.auth.v1.IdentityService/WhoAmI"
            code, _ = await code_of_call(other.channel, method, metadata=bearing(token))
            return code == grpc.StatusCode.OK

        await eventually(is_known)


async def test_an_expired_token_fails(site: Site, clock: ManualClock) -> None:
    end = Timestamp()
    end.FromDatetime(clock.now() + timedelta(days=90))
    token = bearing(await site.token("nightly", ORCHESTRATOR, expire_time=end))
    await site.alert.alerts.RaiseOrTouch(A_FAILURE, metadata=token)

    clock.advance(timedelta(days=90))

    code, said = await refused(site.alert.alerts.RaiseOrTouch(A_FAILURE, metadata=token))
    assert (grpc.StatusCode.UNAUTHENTICATED, True) == (code, "was over" in said)


async def test_an_open_stream_ends_when_its_token_is_revoked(site: Site) -> None:
    made = await site.ask("CreateToken", name="reader", roles=[credential_pb2.ROLE_SUBSCRIBER])
    stream: Any = site.alert.alerts.WatchEvents(
        alert_pb.WatchEventsRequest(snapshot=True), metadata=bearing(made.token)
    )
    assert (await stream.read()).position.epoch

    await site.ask("RevokeCredential", credential_id=made.credential.credential_id)

    async def to_the_end() -> None:
        while await stream.read() is not grpc.aio.EOF:
            pass

    code, said = await refused(asyncio.wait_for(to_the_end(), 30))
    assert (grpc.StatusCode.UNAUTHENTICATED, "'reader' was revoked. Use another token.") == (
        code,
        said,
    )


async def test_a_stream_ends_when_its_token_is_gone_from_a_restored_database(
    site: Site, alert_url: str
) -> None:
    token = await site.token("reader", credential_pb2.ROLE_SUBSCRIBER)
    stream: Any = site.alert.alerts.WatchEvents(
        alert_pb.WatchEventsRequest(snapshot=True), metadata=bearing(token)
    )
    assert (await stream.read()).position.epoch

    connection = await asyncpg.connect(alert_url)
    try:
        await connection.execute(
            "DELETE FROM credentials WHERE name = 'reader';"
            "UPDATE credential_version SET version = version - 1"
        )
    finally:
        await connection.close()

    async def to_the_end() -> None:
        while await stream.read() is not grpc.aio.EOF:
            pass

    code, said = await refused(asyncio.wait_for(to_the_end(), 30))
    assert (grpc.StatusCode.UNAUTHENTICATED, True) == (code, "not known here" in said)


async def test_what_was_changed_since_a_restore_is_not_taken_for_what_was_known_before(
    alert_url: str, clock: ManualClock
) -> None:
    """The backup is from before the lost token was made; another was made since."""
    lost = await Credentials(alert_url).token(Role.SUBSCRIBER, name="lost")
    database = Database(alert_url, application_name="tests", pool_size=1)
    watch = CredentialWatch(database, clock=clock, audit_kept=timedelta(days=1))
    try:
        await watch.refresh()
        async with database.transaction() as connection:
            await connection.execute("DELETE FROM credentials")
            await connection.execute("UPDATE credential_version SET version = 1")
        made = await Credentials(alert_url).token(Role.SUBSCRIBER, name="made")

        await watch.refresh()
    finally:
        await database.close()

    assert {digest_of(made)} == set(watch.known.by_digest)
    assert digest_of(lost) not in watch.known.by_digest


async def test_a_role_of_a_newer_version_gives_nothing_and_hides_no_revocation(
    site: Site, alert_url: str
) -> None:
    reader = await site.token("reader", credential_pb2.ROLE_SUBSCRIBER)
    connection = await asyncpg.connect(alert_url)
    try:
        await connection.execute(
            "UPDATE credentials SET roles = '{subscriber,auditor}' WHERE name = 'reader'"
        )
    finally:
        await connection.close()

    gone = await site.ask("CreateToken", name="gone", roles=[OPERATOR])
    await site.ask("RevokeCredential", credential_id=gone.credential.credential_id)

    code, said = await refused(
        site.alert.alerts.ListAlerts(alert_pb.ListAlertsRequest(), metadata=bearing(gone.token))
    )
    assert (grpc.StatusCode.UNAUTHENTICATED, "'gone' was revoked. Use another token.") == (
        code,
        said,
    )
    await site.alert.alerts.ListAlerts(alert_pb.ListAlertsRequest(), metadata=bearing(reader))


async def test_while_the_database_is_away_whoever_was_known_still_is(
    own_cluster: Cluster,
) -> None:
    url = own_cluster.create_database("alert")
    await migrate(url, migrations_of("alert"))
    token = await Credentials(url).token(Role.OPERATOR, name="ops")
    async with running_alert(url, insecure_dev=False) as alert:
        own_cluster.stop()
        code, _ = await refused(
            alert.alerts.ListAlerts(alert_pb.ListAlertsRequest(), metadata=bearing(token))
        )
        stranger, _ = await refused(alert.alerts.ListAlerts(alert_pb.ListAlertsRequest()))

    assert grpc.StatusCode.UNAVAILABLE == code
    assert grpc.StatusCode.UNAUTHENTICATED == stranger


async def test_nothing_but_the_digest_of_a_token_is_kept(site: Site, alert_url: str) -> None:
    token = await site.token("nightly", ORCHESTRATOR)
    connection = await asyncpg.connect(alert_url)
    try:
        row = await connection.fetchrow("SELECT * FROM credentials WHERE name = 'nightly'")
        trail = await connection.fetch("SELECT * FROM audit_entries")
    finally:
        await connection.close()

    assert hashlib.sha256(token.encode()).digest() == row["digest"]
    assert token[7:] not in str(dict(row)) + str([dict(each) for each in trail])


async def test_no_token_is_ever_logged(site: Site) -> None:
    with capture_logs() as logs:
        token = await site.token("nightly", ORCHESTRATOR)
        for metadata in (bearing(token), bearing(token[:-1]), bearing(token + "A")):
            await refused(
                site.alert.alerts.ListAlerts(alert_pb.ListAlertsRequest(), metadata=metadata)
            )
            await refused(
                site.alert.alerts.RaiseOrTouch(alert_pb.RaiseOrTouchRequest(), metadata=metadata)
            )

    assert token[7:-1] not in str(logs)


async def test_who_am_i_tells_the_identity_and_what_it_may_do(site: Site) -> None:
    token = await site.token("agent", ORCHESTRATOR, host_ids=["web-1"])

    answer = await site.ask("WhoAmI", bearing(token))

    assert ("agent", [ORCHESTRATOR], ["web-1"]) == (
        answer.actor,
        list(answer.roles),
        list(answer.host_ids),
    )


async def test_what_is_wrong_with_a_token_is_told_field_by_field(site: Site) -> None:
    code, said = await refused(site.ask("CreateToken", name="a b", roles=[99], host_ids=[""]))

    assert grpc.StatusCode.INVALID_ARGUMENT == code
    assert "ROLE_ADMIN" in said


async def test_credentials_are_listed_page_by_page_the_latest_first(
    site: Site, clock: ManualClock
) -> None:
    for name in ("a", "b", "c"):
        clock.advance(timedelta(seconds=1))
        await site.token(name, OPERATOR)
    first = await site.ask("ListCredentials", page_size=2)
    second = await site.ask("ListCredentials", page_size=2, page_token=first.next_page_token)

    named = [each.name for page in (first, second) for each in page.credentials]
    assert ["c", "b", "a", "root"] == named
    assert not second.next_page_token


async def test_revoked_ones_are_listed_when_they_are_asked_for(site: Site) -> None:
    made = await site.ask("CreateToken", name="gone", roles=[OPERATOR])
    await site.ask("RevokeCredential", credential_id=made.credential.credential_id)

    valid = await site.ask("ListCredentials")
    every = await site.ask("ListCredentials", include_ended=True)

    assert ["root"] == [each.name for each in valid.credentials]
    assert ["gone", "root"] == [each.name for each in every.credentials]


async def test_when_a_token_was_used_last_is_shown(site: Site, clock: ManualClock) -> None:
    await site.ask("WhoAmI")
    clock.advance(timedelta(minutes=5))

    async def is_noted() -> bool:
        listed = await site.ask("ListCredentials")
        return bool(listed.credentials[0].HasField("last_used_time"))

    await eventually(is_noted)


async def test_an_unknown_credential_is_not_found(site: Site) -> None:
    code, _ = await refused(
        site.ask("RevokeCredential", credential_id="0190b5a8-7d5c-7c3e-8a53-1f2e3d4c5b6a")
    )
    assert grpc.StatusCode.NOT_FOUND == code


async def test_acknowledged_by_is_the_proven_identity_and_not_what_is_said(site: Site) -> None:
    operator = bearing(await site.token("ops@example.org", OPERATOR))
    reporter = bearing(await site.token("nightly", ORCHESTRATOR))
    raised = await site.alert.alerts.RaiseOrTouch(A_FAILURE, metadata=reporter)
    alert_id = raised.alert.alert_id

    await site.alert.alerts.Acknowledge(
        alert_pb.AcknowledgeRequest(alert_id=alert_id, note="on it", on_behalf_of="Eve"),
        metadata=operator,
    )
    await site.alert.alerts.Resolve(alert_pb.ResolveRequest(alert_id=alert_id), metadata=operator)

    alert = (
        await site.alert.alerts.GetAlert(
            alert_pb.GetAlertRequest(alert_id=alert_id), metadata=operator
        )
    ).alert
    events = await site.alert.alerts.ListAlertEvents(
        alert_pb.ListAlertEventsRequest(alert_id=alert_id), metadata=operator
    )
    assert ("ops@example.org", "ops@example.org") == (alert.acknowledged_by, alert.resolved_by)
    assert [("nightly", ""), ("ops@example.org", "Eve"), ("ops@example.org", "")] == [
        (event.actor, event.on_behalf_of) for event in events.events
    ]
    assert [
        ("ops@example.org", "AlertService/Resolve", alert_id),
        ("ops@example.org", "AlertService/Acknowledge", alert_id),
    ] == await site.audited(actor="ops@example.org")
    entry = (await site.ask("ListAuditEntries", method="AlertService/Acknowledge")).entries[0]
    assert ("Eve", "on it", "web-1") == (
        entry.on_behalf_of,
        entry.details["note"],
        entry.details["host_id"],
    )


async def test_what_changes_nothing_and_what_programs_do_is_not_in_the_trail(site: Site) -> None:
    operator = bearing(await site.token("ops", OPERATOR))
    reporter = bearing(await site.token("nightly", ORCHESTRATOR))
    alert_id = (await site.alert.alerts.RaiseOrTouch(A_FAILURE, metadata=reporter)).alert.alert_id
    await site.alert.backups.PutHost(backup_pb.PutHostRequest(host_id="web-1"), metadata=reporter)
    await site.alert.backups.PutHost(backup_pb.PutHostRequest(host_id="web-1"), metadata=operator)
    for _ in range(2):
        await site.alert.alerts.Resolve(
            alert_pb.ResolveRequest(alert_id=alert_id), metadata=operator
        )
    await refused(
        site.alert.alerts.Acknowledge(
            alert_pb.AcknowledgeRequest(alert_id=alert_id), metadata=operator
        )
    )

    assert [
        ("ops", "AlertService/Resolve", alert_id),
        ("ops", "BackupService/PutHost", "web-1"),
    ] == await site.audited(actor="ops")
    assert [] == await site.audited(actor="nightly")


async def test_a_stranger_is_refused_before_the_request_has_come(site: Site) -> None:
    token = await site.token("nightly", ORCHESTRATOR)
    raising = "/tocsin.api.alert.v1.AlertService/RaiseOrTouch"
    async with half_calls(site.alert.app.port) as calls:
        known = await calls.begin(raising, *bearing(token))
        strange = await calls.begin(raising, *bearing("tocsin_" + "N" * 43))

        await eventually(lambda: strange in calls.ended)

        assert known not in calls.ended


async def test_what_an_admin_reports_is_in_the_trail_once(site: Site) -> None:
    admin = bearing(await site.token("ann", credential_pb2.ROLE_ADMIN))
    failure = alert_pb.RaiseOrTouchRequest(host_id="web-1", kind="disk_full", request_id="r-1")
    success = alert_pb.AutoResolveRequest(host_id="web-1", kind="disk_full")
    failure.observe_time.FromSeconds(100)
    success.observe_time.FromSeconds(200)
    job = backup_pb.ReportJobFinishedRequest(
        job_id="j-1",
        host_id="web-1",
        kind=backup_types.JOB_KIND_BACKUP,
        result=backup_types.JOB_RESULT_SUCCEEDED,
    )
    for _ in range(2):  # the second time is a repetition
        await site.alert.alerts.RaiseOrTouch(failure, metadata=admin)
        await site.alert.backups.ReportJobFinished(job, metadata=admin)
    await site.alert.alerts.AutoResolve(success, metadata=admin)
    stale = alert_pb.RaiseOrTouchRequest(host_id="web-1", kind="disk_full")
    stale.observe_time.FromSeconds(1)
    await site.alert.alerts.RaiseOrTouch(stale, metadata=admin)

    assert [
        ("ann", "AlertService/AutoResolve", "web-1"),
        ("ann", "BackupService/ReportJobFinished", "j-1"),
        ("ann", "AlertService/RaiseOrTouch", "web-1"),
    ] == await site.audited(actor="ann")


async def test_what_cannot_be_written_down_is_not_done(site: Site, alert_url: str) -> None:
    operator = bearing(await site.token("ops", OPERATOR))
    reporter = bearing(await site.token("nightly", ORCHESTRATOR))
    raised = await site.alert.alerts.RaiseOrTouch(A_FAILURE, metadata=reporter)
    alert_id = raised.alert.alert_id
    connection = await asyncpg.connect(alert_url)
    try:
        await connection.execute("ALTER TABLE audit_entries RENAME TO away")
        code, _ = await refused(
            site.alert.alerts.Resolve(alert_pb.ResolveRequest(alert_id=alert_id), metadata=operator)
        )
        await connection.execute("ALTER TABLE away RENAME TO audit_entries")
    finally:
        await connection.close()

    assert grpc.StatusCode.INTERNAL == code
    asked = alert_pb.GetAlertRequest(alert_id=alert_id)
    alert = (await site.alert.alerts.GetAlert(asked, metadata=operator)).alert
    assert "" == alert.resolved_by
    assert [] == await site.audited(actor="ops")


async def test_what_is_put_and_retired_by_people_is_in_the_trail(site: Site) -> None:
    operator = bearing(await site.token("ops", OPERATOR))
    backups = site.alert.backups
    for method, request in (
        ("PutHost", backup_pb.PutHostRequest(host_id="h")),
        ("PutSourceGroup", backup_pb.PutSourceGroupRequest(source_group_id="g", host_id="h")),
        (
            "PutSchedule",
            backup_pb.PutScheduleRequest(
                schedule_id="s",
                host_id="h",
                job_kind=backup_types.JOB_KIND_BACKUP,
                source_group_id="g",
                recurrence=backup_types.Recurrence(cron="0 2 * * *", time_zone="UTC"),
            ),
        ),
        ("RetireSchedule", backup_pb.RetireScheduleRequest(schedule_id="s")),
        ("RetireSourceGroup", backup_pb.RetireSourceGroupRequest(source_group_id="g")),
        ("RetireHost", backup_pb.RetireHostRequest(host_id="h")),
    ):
        await getattr(backups, method)(request, metadata=operator)

    told = [(method, subject) for _, method, subject in await site.audited(actor="ops")]
    assert [
        ("BackupService/RetireHost", "h"),
        ("BackupService/RetireSourceGroup", "g"),
        ("BackupService/RetireSchedule", "s"),
        ("BackupService/PutSchedule", "s"),
        ("BackupService/PutSourceGroup", "g"),
        ("BackupService/PutHost", "h"),
    ] == told


async def test_the_trail_is_listed_page_by_page_and_since_a_time(
    site: Site, clock: ManualClock
) -> None:
    for name in ("a", "b", "c"):
        clock.advance(timedelta(hours=1))
        await site.token(name, OPERATOR)
    since = Timestamp()
    since.FromDatetime(clock.now() - timedelta(minutes=90))
    method = "IdentityService/CreateToken"

    first = await site.ask("ListAuditEntries", method=method, page_size=2)
    rest = await site.ask(
        "ListAuditEntries", method=method, page_size=2, page_token=first.next_page_token
    )
    late = await site.ask("ListAuditEntries", method=method, since=since)

    def names(answer: Any) -> list[str]:
        return [entry.details["name"] for entry in answer.entries]

    assert (["c", "b"], ["a"], ["c", "b"]) == (names(first), names(rest), names(late))


async def test_old_entries_of_the_trail_are_forgotten(site: Site, clock: ManualClock) -> None:
    await site.token("old", OPERATOR)
    assert 1 == len(await site.audited(method="IdentityService/CreateToken"))

    clock.advance(timedelta(days=401))

    async def is_forgotten() -> bool:
        return not await site.audited(method="IdentityService/CreateToken")

    await eventually(is_forgotten)


async def test_a_service_that_nobody_could_call_does_not_start(alert_url: str) -> None:
    app = AlertApp(alert_settings(alert_url, insecure_dev=False))

    with pytest.raises(ConfigError, match="tocsin-alert token create --role admin NAME"):
        await app.start()


async def test_with_encryption_it_starts_and_says_that_nobody_can_call_yet(
    alert_url: str, tmp_path: Path
) -> None:
    pems = Pems(tmp_path)
    with capture_logs() as logs:
        async with running_alert(
            alert_url, insecure_dev=False, credentials=pems.client(), **pems.server()
        ) as alert:
            code, _ = await refused(alert.alerts.ListAlerts(alert_pb.ListAlertsRequest()))

    assert grpc.StatusCode.UNAUTHENTICATED == code
    assert 1 == len([line for line in logs if line["event"] == "nobody_can_call"])


async def test_a_service_whose_every_token_has_expired_starts(alert_url: str) -> None:
    await Credentials(alert_url).expired_token(Role.ADMIN)

    async with running_alert(alert_url, insecure_dev=False) as alert:
        code, _ = await refused(alert.alerts.ListAlerts(alert_pb.ListAlertsRequest()))

    assert grpc.StatusCode.UNAUTHENTICATED == code


async def test_insecure_dev_lets_everybody_in_and_says_so_loudly(alert_url: str) -> None:
    with capture_logs() as logs:
        async with running_alert(alert_url, insecure_dev=True) as alert:
            raised = await alert.alerts.RaiseOrTouch(A_FAILURE)
            await alert.alerts.Resolve(alert_pb.ResolveRequest(alert_id=raised.alert.alert_id))
            identity: Any = IdentityServiceStub(alert.channel)
            entries = (await identity.ListAuditEntries(pb.ListAuditEntriesRequest())).entries
            me = await identity.WhoAmI(pb.WhoAmIRequest())

    assert 1 == len([line for line in logs if "INSECURE" in line["event"]])
    assert ["anonymous"] == [entry.actor for entry in entries]
    assert ("anonymous", 4) == (me.actor, len(me.roles))


async def test_a_certificate_is_an_identity_with_the_roles_granted_to_its_name(
    alert_url: str, tmp_path: Path
) -> None:
    pems = Pems(tmp_path)
    await Credentials(alert_url).certificate("dns:ops.example.org", Role.OPERATOR, Role.ADMIN)
    async with running_alert(
        alert_url,
        insecure_dev=False,
        credentials=pems.client("ops.example.org"),
        **pems.server(clients=True),
    ) as alert:
        identity: Any = IdentityServiceStub(alert.channel)
        me = await identity.WhoAmI(pb.WhoAmIRequest())

        assert "dns:ops.example.org" == me.actor
        assert [] == list((await alert.alerts.ListAlerts(alert_pb.ListAlertsRequest())).alerts)
        again = identity.GrantCertificate(
            pb.GrantCertificateRequest(name="dns:ops.example.org", roles=[OPERATOR])
        )
        assert grpc.StatusCode.ALREADY_EXISTS == (await refused(again))[0]
        await identity.GrantCertificate(
            pb.GrantCertificateRequest(name="spiffe://example.org/x", roles=[OPERATOR])
        )


async def test_a_certificate_that_nothing_was_granted_to_is_told_what_to_do(
    alert_url: str, tmp_path: Path
) -> None:
    pems = Pems(tmp_path)
    await Credentials(alert_url).token(Role.ADMIN)
    async with running_alert(
        alert_url,
        insecure_dev=False,
        credentials=pems.client("web-1.example.org"),
        **pems.server(clients=True),
    ) as alert:
        code, said = await refused(alert.alerts.ListAlerts(alert_pb.ListAlertsRequest()))

    assert grpc.StatusCode.UNAUTHENTICATED == code
    assert "tocsin grant dns:web-1.example.org --role" in said


async def test_reflection_can_be_switched_off(alert_url: str) -> None:
    async with running_alert(alert_url, reflection=False) as alert:
        code, _ = await code_of_call(alert.channel, f"/{V1}/ServerReflectionInfo")

    assert grpc.StatusCode.UNIMPLEMENTED == code
