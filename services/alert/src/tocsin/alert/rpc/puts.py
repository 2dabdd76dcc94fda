"""What is to be watched: from the request to the ledger's command, or its refusal."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from tocsin.alert.domain.host import HostSpec, Profile
from tocsin.alert.domain.job import JobKind
from tocsin.alert.domain.schedule import (
    DEFAULT_GRACE,
    DEFAULT_MAX_DURATION,
    Interval,
    ScheduleSpec,
)
from tocsin.alert.domain.source_group import SourceGroupSpec
from tocsin.alert.ledger.backup_commands import PutHost, PutSchedule, PutSourceGroup
from tocsin.alert.rpc.lengths import Bounds, read_length
from tocsin.alert.rpc.observations import caller_of
from tocsin.alert.rpc.recurrences import read_recurrence
from tocsin.api.alert.v1 import backup_pb2
from tocsin.common.errors import Violations
from tocsin.common.identity.roles import require_host
from tocsin.common.rpc.validate import ID_CHARACTERS, check_labels, check_text, read_choice

if TYPE_CHECKING:
    from datetime import datetime

    from tocsin.api.alert.v1 import backup_service_pb2 as pb
    from tocsin.common.rpc.caller import Peer

YEAR = timedelta(days=366)
MONTH = timedelta(days=31)
OFFLINE_AFTER = Bounds(timedelta(minutes=15), YEAR, "15 minutes from its first heartbeat on")
OBJECTIVE = Bounds(timedelta(minutes=1), YEAR, "then it has no objective")
GRACE = Bounds(timedelta(0), MONTH, "15 minutes")
MAX_DURATION = Bounds(timedelta(minutes=1), MONTH, "24 hours")

_PROFILE_NAMES: dict[int, str] = {
    number: name for name, number in backup_pb2.HostProfile.items() if number
}
_KIND_NAMES: dict[int, str] = {
    number: name for name, number in backup_pb2.JobKind.items() if number
}


def read_put_host(request: pb.PutHostRequest, peer: Peer) -> PutHost:
    """Return the command, or raise InvalidArgumentError with all that is wrong."""
    require_host(peer, request.host_id)
    found = Violations()
    check_id(found, "host_id", request.host_id)
    check_text(found, "name", request.name, most=ID_CHARACTERS)
    check_labels(found, "labels", request.labels)
    profile = _read_profile(found, request.profile)
    offline_after = _read_offline_after(found, request, profile)
    found.raise_if_any()
    labels = dict(request.labels)
    spec = HostSpec(request.host_id, request.name, labels, profile, offline_after)
    return PutHost(spec, caller_of(peer))


def read_put_source_group(request: pb.PutSourceGroupRequest, peer: Peer) -> PutSourceGroup:
    """Return the command, or raise InvalidArgumentError with all that is wrong."""
    require_host(peer, request.host_id)
    found = Violations()
    check_id(found, "source_group_id", request.source_group_id)
    check_id(found, "host_id", request.host_id)
    check_text(found, "repository_id", request.repository_id, most=ID_CHARACTERS)
    check_text(found, "name", request.name, most=ID_CHARACTERS)
    objective = None
    if request.HasField("objective"):
        objective = read_length(found, "objective", request.objective, OBJECTIVE)
    found.raise_if_any()
    spec = SourceGroupSpec(
        request.source_group_id, request.host_id, request.repository_id, request.name, objective
    )
    return PutSourceGroup(spec, caller_of(peer))


def read_put_schedule(request: pb.PutScheduleRequest, peer: Peer, now: datetime) -> PutSchedule:
    """Return the command, or raise InvalidArgumentError with all that is wrong.

    Also when no run would ever be due after `now`.
    """
    require_host(peer, request.host_id)
    found = Violations()
    check_id(found, "schedule_id", request.schedule_id)
    check_id(found, "host_id", request.host_id)
    kind = read_job_kind(found, "job_kind", request.job_kind)
    _check_subject(found, request, kind)
    recurrence = read_recurrence(found, "recurrence", request.recurrence, now)
    grace, max_duration = DEFAULT_GRACE, DEFAULT_MAX_DURATION
    if request.HasField("grace"):
        grace = read_length(found, "grace", request.grace, GRACE)
    if request.HasField("max_duration"):
        max_duration = read_length(found, "max_duration", request.max_duration, MAX_DURATION)
    found.raise_if_any()
    spec = ScheduleSpec(
        schedule_id=request.schedule_id,
        host_id=request.host_id,
        job_kind=kind,
        recurrence=recurrence or Interval(YEAR),
        source_group_id=request.source_group_id,
        repository_id=request.repository_id,
        grace=grace,
        max_duration=max_duration,
        enabled=request.enabled if request.HasField("enabled") else True,
    )
    return PutSchedule(spec, caller_of(peer))


def read_job_kind(found: Violations, path: str, number: int) -> JobKind:
    """Return what a job does, or note that it was not said."""
    return JobKind(read_choice(found, path, number, _KIND_NAMES) or JobKind.BACKUP)


def read_id(path: str, value: str) -> str:
    """Return the id of what is asked for, or raise InvalidArgumentError."""
    found = Violations()
    check_id(found, path, value)
    found.raise_if_any()
    return value


def check_id(found: Violations, path: str, value: str) -> None:
    """Note an id that is empty or cannot be one."""
    check_text(found, path, value, least=1, most=ID_CHARACTERS)


def check_source_group(found: Violations, source_group_id: str, kind: JobKind) -> None:
    """Note a source group that is wrong, or given with a job that is no backup."""
    check_text(found, "source_group_id", source_group_id, most=ID_CHARACTERS)
    if source_group_id and kind is not JobKind.BACKUP:
        found.add("source_group_id", "is only for backups; leave it empty and name the repository")


def _check_subject(found: Violations, request: pb.PutScheduleRequest, kind: JobKind) -> None:
    check_source_group(found, request.source_group_id, kind)
    check_text(found, "repository_id", request.repository_id, most=ID_CHARACTERS)
    if request.repository_id and kind is JobKind.BACKUP:
        found.add(
            "repository_id",
            "is not for backups; leave it empty and name the source group, whose repository it is",
        )


def _read_profile(found: Violations, number: int) -> Profile:
    if not number:
        return Profile.SERVER
    return Profile(read_choice(found, "profile", number, _PROFILE_NAMES) or Profile.SERVER)


def _read_offline_after(
    found: Violations, request: pb.PutHostRequest, profile: Profile
) -> timedelta | None:
    if not request.HasField("offline_after"):
        return None
    if profile is not Profile.SERVER:
        judged = (
            "its silence is judged by the objectives of its source groups"
            if profile is Profile.LAPTOP
            else "it is never called offline"
        )
        found.add("offline_after", f"is only for servers; leave it unset: {judged}")
        return None
    return read_length(found, "offline_after", request.offline_after, OFFLINE_AFTER)
