"""What the ledger is asked to write of backups, and what it answers.

Reports say what happened, puts what is expected, deadlines what did not come. Each is written in
one transaction with all that it does to alerts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

from tocsin.alert.domain.host import Host
from tocsin.alert.domain.schedule import Schedule
from tocsin.alert.domain.source_group import SourceGroup

if TYPE_CHECKING:
    from datetime import timedelta
    from uuid import UUID

    from tocsin.alert.domain.alert import Alert
    from tocsin.alert.domain.host import HostSpec
    from tocsin.alert.domain.job import JobFinished, JobResult, JobStarted
    from tocsin.alert.domain.observation import Caller
    from tocsin.alert.domain.schedule import ScheduleSpec
    from tocsin.alert.domain.source_group import SourceGroupSpec
    from tocsin.alert.engine.skew import ClockReading

Thing_co = TypeVar("Thing_co", Host, SourceGroup, Schedule, covariant=True)


@dataclass(frozen=True, slots=True)
class StartJob:
    """A job has begun; its times are corrected already. Answered with a JobStartAnswer.

    Refused with InvalidArgumentError: JOB_ID_REUSED when the job was reported as another one;
    INVALID_FIELD when its source group or schedule belongs to another host.
    """

    started: JobStarted
    reading: ClockReading
    caller: Caller


@dataclass(frozen=True, slots=True)
class FinishJob:
    """A job has ended; its times are corrected already. Answered with a JobFinishAnswer.

    `fingerprint` is a digest of what the report says, times apart. Refused as StartJob is, and
    with JOB_ID_REUSED when the end was reported with another fingerprint.
    """

    finished: JobFinished
    reading: ClockReading
    caller: Caller
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class Hear:
    """A host gave a sign of life. Answered with a HearAnswer. Never refused."""

    host_id: str
    reading: ClockReading
    caller: Caller


@dataclass(frozen=True, slots=True)
class PutHost:
    """A host is to be watched like this. Answered with a PutAnswer. Never refused."""

    spec: HostSpec
    caller: Caller


@dataclass(frozen=True, slots=True)
class PutSourceGroup:
    """A source group is to be watched like this. Answered with a PutAnswer.

    Refused with InvalidArgumentError (INVALID_FIELD) when it lies on another host, and with
    PermissionDeniedError (HOST_NOT_ALLOWED) when a bound caller puts first what another reports
    under.
    """

    spec: SourceGroupSpec
    caller: Caller


@dataclass(frozen=True, slots=True)
class PutSchedule:
    """Runs are to be expected like this. Answered with a PutAnswer.

    The recurrence has been checked. Refused with InvalidArgumentError (INVALID_FIELD) when it, or
    the source group that it names, belongs to another host, and with PermissionDeniedError as
    PutSourceGroup is.
    """

    spec: ScheduleSpec
    caller: Caller


@dataclass(frozen=True, slots=True)
class RetireHost:
    """A host with all that lies on it is watched no more. Answered with a RetireAnswer.

    Refused with NotFoundError (HOST_NOT_FOUND).
    """

    host_id: str
    caller: Caller


@dataclass(frozen=True, slots=True)
class RetireSourceGroup:
    """A source group and its schedules are watched no more. Answered with a RetireAnswer.

    Refused with NotFoundError (SOURCE_GROUP_NOT_FOUND).
    """

    source_group_id: str
    caller: Caller


@dataclass(frozen=True, slots=True)
class RetireSchedule:
    """Runs are expected no more. Answered with a RetireAnswer.

    Refused with NotFoundError (SCHEDULE_NOT_FOUND).
    """

    schedule_id: str
    caller: Caller


@dataclass(frozen=True, slots=True)
class MissRun:
    """The deadline of a schedule may have passed. Answered with a DeadlineAnswer.

    Raises stale_schedule only when the ledger, too, finds it so; either way the time of the next
    look is set to what is true. A schedule that cannot be computed is put off by an hour.
    """

    schedule_id: str


@dataclass(frozen=True, slots=True)
class CallOffline:
    """A host may have been silent for too long. Answered with a DeadlineAnswer, as MissRun."""

    host_id: str


@dataclass(frozen=True, slots=True)
class Rise:
    """The last good backup of a source group may have passed a multiple of its objective.

    Answered with a DeadlineAnswer, as MissRun.
    """

    source_group_id: str


@dataclass(frozen=True, slots=True)
class Unsuppress:
    """An alert may have outlived by `grace` the one that explains it.

    Answered with a DeadlineAnswer. An alert that does not exist is not changed.
    """

    alert_id: UUID
    grace: timedelta


@dataclass(frozen=True, slots=True)
class JobStartAnswer:
    """`replayed` tells that the job was known to have started or ended: nothing was changed."""

    replayed: bool


@dataclass(frozen=True, slots=True)
class JobFinishAnswer:
    """How the end was judged, and the alerts that it raised, touched or resolved.

    `replayed` tells that the end was known: nothing was changed, and `alerts` is empty.
    """

    replayed: bool
    judged: JobResult
    cause: str
    alerts: tuple[Alert, ...] = ()


@dataclass(frozen=True, slots=True)
class HearAnswer:
    """`resolved` is the agent_offline that the sign of life ended, None when none stood."""

    resolved: Alert | None


@dataclass(frozen=True, slots=True)
class PutAnswer(Generic[Thing_co]):
    """The thing as it is now."""

    thing: Thing_co


@dataclass(frozen=True, slots=True)
class RetireAnswer(Generic[Thing_co]):
    """The thing as it is now, and how many alerts were resolved with it."""

    thing: Thing_co
    resolved_count: int


@dataclass(frozen=True, slots=True)
class DeadlineAnswer:
    """`changed` tells whether an alert was raised or changed.

    `is_blocked` tells that the schedule cannot be computed: it is looked at again in an hour.
    """

    changed: bool
    is_blocked: bool = False


Report: TypeAlias = StartJob | FinishJob | Hear
Put: TypeAlias = PutHost | PutSourceGroup | PutSchedule
Retirement: TypeAlias = RetireHost | RetireSourceGroup | RetireSchedule
Deadline: TypeAlias = MissRun | CallOffline | Rise | Unsuppress
BackupCommand: TypeAlias = Report | Put | Retirement | Deadline
BackupAnswer: TypeAlias = (
    JobStartAnswer
    | JobFinishAnswer
    | HearAnswer
    | PutAnswer[Host]
    | PutAnswer[SourceGroup]
    | PutAnswer[Schedule]
    | RetireAnswer[Host]
    | RetireAnswer[SourceGroup]
    | RetireAnswer[Schedule]
    | DeadlineAnswer
)
