"""A client that knows nothing of us: it lists, describes and calls everything by reflection."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from support.alert import RunningAlert

pytestmark = pytest.mark.postgres

BUF = Path(sys.executable).parent / "buf"
GRPCURL = shutil.which("grpcurl")
ALERTS = "tocsin.api.alert.v1.AlertService"
HOSTS = "tocsin.api.alert.v1.BackupService"
SERVICES = [
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
    ALERTS,
    HOSTS,
    "tocsin.api.auth.v1.IdentityService",
]
ID = "0190b5a8-7d5c-7c3e-8a53-1f2e3d4c5b6a"
# One call of every unary method, and the code that it ends with. buf's exit code is 8 times it.
CALLS: list[tuple[str, dict[str, Any], int]] = [
    (f"{ALERTS}/RaiseOrTouch", {"hostId": "nas", "kind": "backup_failed"}, 0),
    (
        f"{ALERTS}/BatchRaiseOrTouch",
        {"requests": [{"hostId": "nas", "kind": "backup_failed"}, {}]},
        0,
    ),
    (f"{ALERTS}/AutoResolve", {"hostId": "nas", "kind": "prune_failed"}, 0),
    (f"{ALERTS}/Acknowledge", {"alertId": ID}, 5),
    (f"{ALERTS}/Resolve", {"alertId": ID}, 5),
    (f"{ALERTS}/GetAlert", {"alertId": ID}, 5),
    (f"{ALERTS}/ListAlerts", {"minSeverity": "SEVERITY_WARNING"}, 0),
    (f"{ALERTS}/ListAlertEvents", {"alertId": ID}, 5),
    (f"{HOSTS}/PutHost", {"hostId": "nas", "name": "The NAS", "labels": {"site": "attic"}}, 0),
    (f"{HOSTS}/GetHost", {"hostId": "nas"}, 0),
    (f"{HOSTS}/ListHosts", {"includeRetired": True}, 0),
    (
        f"{HOSTS}/PutSourceGroup",
        {"sourceGroupId": "home", "hostId": "nas", "objective": "93600s"},
        0,
    ),
    (f"{HOSTS}/GetSourceGroup", {"sourceGroupId": "home"}, 0),
    (f"{HOSTS}/ListSourceGroups", {"hostId": "nas"}, 0),
    (
        f"{HOSTS}/PutSchedule",
        {
            "scheduleId": "nightly",
            "hostId": "nas",
            "jobKind": "JOB_KIND_BACKUP",
            "sourceGroupId": "home",
            "recurrence": {"cron": "30 2 * * *", "timeZone": "Europe/Berlin"},
        },
        0,
    ),
    (f"{HOSTS}/GetSchedule", {"scheduleId": "nightly"}, 0),
    (f"{HOSTS}/ListSchedules", {"hostId": "nas"}, 0),
    (
        f"{HOSTS}/ReportJobStarted",
        {"jobId": "j-1", "hostId": "nas", "kind": "JOB_KIND_BACKUP", "scheduleId": "nightly"},
        0,
    ),
    (
        f"{HOSTS}/ReportJobFinished",
        {
            "jobId": "j-1",
            "hostId": "nas",
            "kind": "JOB_KIND_BACKUP",
            "scheduleId": "nightly",
            "result": "JOB_RESULT_FAILED",
            "exitCode": 1,
        },
        0,
    ),
    (f"{HOSTS}/ReportHeartbeat", {"hostId": "nas"}, 0),
    (f"{HOSTS}/GetProtection", {"hostId": "nas"}, 0),
    (f"{HOSTS}/RetireSchedule", {"scheduleId": "nightly"}, 0),
    (f"{HOSTS}/RetireSourceGroup", {"sourceGroupId": "home"}, 0),
    (f"{HOSTS}/RetireHost", {"hostId": "nas"}, 0),
    ("grpc.health.v1.Health/Check", {"service": ALERTS}, 0),
]


async def run(*command: str | Path) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def buf_curl(alert: RunningAlert, path: str, *options: str) -> tuple[int, str, str]:
    plain = ("--protocol", "grpc", "--http2-prior-knowledge", "--reflect")
    return await run(BUF, "curl", *plain, *options, f"http://{alert.target}{path}")


@pytest.mark.parametrize("version", ["grpc-v1", "grpc-v1alpha"])
async def test_buf_lists_every_service_and_method(alert: RunningAlert, version: str) -> None:
    protocol = ("--reflect-protocol", version)

    _, services, _ = await buf_curl(alert, "", *protocol, "--list-services")
    _, methods, _ = await buf_curl(alert, "", *protocol, "--list-methods")

    assert SERVICES == services.split()
    for method, _, _ in CALLS:
        assert method in methods.split()
    assert f"{ALERTS}/WatchEvents" in methods.split()


async def test_buf_calls_every_method_by_reflection(alert: RunningAlert) -> None:
    for method, request, code in CALLS:
        ended, out, err = await buf_curl(alert, f"/{method}", "-d", json.dumps(request))
        assert (code * 8, method) == (ended, method), err
        assert code != 0 or json.loads(out or "{}") is not None


async def test_buf_follows_the_stream(alert: RunningAlert) -> None:
    raised = {"hostId": "nas", "kind": "backup_failed", "message": "exit 1"}
    await buf_curl(alert, f"/{ALERTS}/RaiseOrTouch", "-d", json.dumps(raised))
    process = await asyncio.create_subprocess_exec(
        *(BUF, "curl", "--protocol", "grpc", "--http2-prior-knowledge", "--reflect"),
        *("-d", '{"after": {}}', f"http://{alert.target}/{ALERTS}/WatchEvents"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(20):
            seen = (await process.stdout.readuntil(b"\n}\n")).decode()
    finally:
        process.kill()
        await process.wait()

    assert "exit 1" == json.loads(seen)["events"][0]["alert"]["message"]


def detail(error: str, kind: type[Message]) -> Any:
    """Read one of the details that buf prints with an error."""
    for entry in json.loads(error)["details"]:
        if entry["type"] == kind.DESCRIPTOR.full_name:
            message = kind()
            raw = entry["value"]
            message.ParseFromString(base64.b64decode(raw + "=" * (-len(raw) % 4)))
            return message
    raise AssertionError(f"no {kind.DESCRIPTOR.full_name} in {error}")


async def test_buf_shows_the_field_violations_of_a_bad_request(alert: RunningAlert) -> None:
    bad = {"hostId": "", "kind": "Not A Kind", "severity": 9}

    ended, _, err = await buf_curl(alert, f"/{ALERTS}/RaiseOrTouch", "-d", json.dumps(bad))

    assert 24 == ended
    told = json.loads(err)
    assert "invalid_argument" == told["code"]
    for field in ("host_id: must not be empty", "kind: 'Not A Kind' is not a kind", "severity: "):
        assert field in told["message"]
    violations = detail(err, BadRequest).field_violations
    assert ["host_id", "kind", "severity"] == [violation.field for violation in violations]
    assert "INVALID_FIELD" == detail(err, ErrorInfo).reason


@pytest.mark.skipif(GRPCURL is None, reason="grpcurl is not on this machine")
async def test_grpcurl_lists_describes_and_calls(alert: RunningAlert) -> None:
    assert GRPCURL is not None
    plain = (GRPCURL, "-plaintext")

    listed = await run(*plain, alert.target, "list")
    assert SERVICES == listed[1].split()
    for service in SERVICES:
        ended, described, err = await run(*plain, alert.target, "describe", service)
        assert (0, True) == (ended, service in described), err
    for method, request, code in CALLS:
        ended, _, err = await run(*plain, "-d", json.dumps(request), alert.target, method)
        assert (code + 64 if code else 0) == ended, err
    bad = await run(*plain, "-d", "{}", alert.target, f"{ALERTS}/RaiseOrTouch")
    assert "host_id" in bad[2]
    assert "google.rpc.BadRequest" in bad[2]
