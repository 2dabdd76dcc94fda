"""What reports do: a job has begun, a job has ended, a host lives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.alert.domain.host import Host, HostSpec
from tocsin.alert.domain.job import JobKind, StreamState
from tocsin.alert.domain.observation import Failure, Success
from tocsin.alert.engine.heartbeats import heard, heard_again, offline_key
from tocsin.alert.engine.job_results import join, judge, keys_of, observations
from tocsin.alert.ledger import run_lines, watches
from tocsin.alert.ledger.backup_commands import HearAnswer, JobFinishAnswer, JobStartAnswer
from tocsin.alert.ledger.explanations import raise_explained
from tocsin.alert.ledger.refusals import check_places, job_id_reused
from tocsin.alert.store.jobs import StoredJob

if TYPE_CHECKING:
    from tocsin.alert.domain.alert import Alert
    from tocsin.alert.domain.host import Signs
    from tocsin.alert.domain.job import Job
    from tocsin.alert.engine.job_results import Judged
    from tocsin.alert.ledger.backup_commands import FinishJob, Hear, StartJob
    from tocsin.alert.ledger.batch import Batch


def start(batch: Batch, command: StartJob) -> JobStartAnswer:
    """Take note of a job that has begun."""
    job = command.started.job
    if _known(batch, job) is not None:
        return JobStartAnswer(replayed=True)
    check_places(batch, job, command.caller)
    _hear(batch, job.host_id, command, heartbeat=False)
    start_time = command.started.start_time
    stored = StoredJob(job, command.reading.received, start_time=start_time)
    batch.rows.jobs.put(job.job_id, stored)
    run_lines.begin(batch, job, start_time)
    return JobStartAnswer(replayed=False)


def finish(batch: Batch, command: FinishJob) -> JobFinishAnswer:
    """Take note of a job that has ended, and of all that this tells."""
    finished = command.finished
    job = finished.job
    known = _known(batch, job)
    if known is not None and known.result is not None:
        if known.fingerprint != command.fingerprint:
            raise job_id_reused(job.job_id)
        return JobFinishAnswer(True, known.result, known.cause)
    check_places(batch, job, command.caller)
    judged = judge(finished)
    back = _hear(batch, job.host_id, command, heartbeat=False)
    batch.rows.jobs.put(job.job_id, _ended(command, judged, known))
    seen = _observe(batch, command, judged)
    on_time = run_lines.end(batch, finished, command.caller)
    _watch_danger(batch, command)
    touched = {alert.alert_id: alert for alert in (back, *seen, on_time) if alert is not None}
    return JobFinishAnswer(False, judged.result, judged.cause, tuple(touched.values()))


def hear(batch: Batch, command: Hear) -> HearAnswer:
    """Take note of a heartbeat."""
    return HearAnswer(_hear(batch, command.host_id, command, heartbeat=True))


def _known(batch: Batch, job: Job) -> StoredJob | None:
    """Return what is known of a job. Raises InvalidArgumentError when it is another one."""
    known = batch.rows.jobs.get(job.job_id)
    if known is not None and known.job != job:
        raise job_id_reused(job.job_id)
    return known


def _hear(
    batch: Batch, host_id: str, command: StartJob | FinishJob | Hear, *, heartbeat: bool
) -> Alert | None:
    """Keep a sign of life, and return the silence that it ended, if there was one."""
    stored = batch.signs(host_id)
    reading = command.reading
    signs = heard(stored.signs, reading.received, reading.skew, heartbeat=heartbeat)
    after = stored._replace(signs=signs)
    back = None
    if batch.book.standing(offline_key(host_id)) is not None:
        unknown = Host(HostSpec(host_id, "", {}), batch.now, batch.now)
        success = heard_again(batch.host(host_id) or unknown, stored.signs, batch.now)
        back = batch.book.clear_now(success, command.caller)
    if after.look_time is None or _went_back(stored.signs, signs):
        watches.watch_host(batch, host_id, after)
    else:
        batch.rows.signs.put(host_id, after)
    return back


def _went_back(before: Signs, after: Signs) -> bool:
    """Whether the last sign of life is not believed any more: the clock was wrong then."""
    last, now = before.last_heard_time, after.last_heard_time
    return last is not None and now is not None and now < last


def _ended(command: FinishJob, judged: Judged, known: StoredJob | None) -> StoredJob:
    finished = command.finished
    start_time = finished.start_time
    if start_time is None and known is not None:
        start_time = known.start_time
    return StoredJob(
        finished.job,
        command.reading.received,
        start_time=start_time,
        finish_time=finished.finish_time,
        result=judged.result,
        cause=judged.cause,
        exit_code=finished.exit_code,
        fingerprint=command.fingerprint,
        summary=finished.summary,
    )


def _observe(batch: Batch, command: FinishJob, judged: Judged) -> list[Alert]:
    """Join an end to its stream, and apply what is observed by it, unless none is watched."""
    finished = command.finished
    job = finished.job
    state = batch.rows.streams.get(job.stream) or StreamState()
    state = join(state, finished, judged)
    batch.rows.streams.put(job.stream, state)
    if _is_retired(batch, job):
        return []
    seen = [
        _apply(batch, observation, command) for observation in observations(state, finished, judged)
    ]
    return [alert for alert in seen if alert is not None]


def _apply(batch: Batch, observation: Failure | Success, command: FinishJob) -> Alert | None:
    """Apply an observation, and return the alert that it raised, touched or resolved."""
    before = batch.book.state(observation.key).alert
    if isinstance(observation, Failure):
        alert = raise_explained(batch, observation, command.caller).alert
    else:
        alert = batch.book.clear(observation, command.caller).alert
    return None if alert is before else alert


def _is_retired(batch: Batch, job: Job) -> bool:
    group = batch.rows.groups.get(job.source_group_id)
    is_retired_group = group is not None and group.group.retire_time is not None
    return batch.is_retired_host(job.host_id) or is_retired_group


def _watch_danger(batch: Batch, command: FinishJob) -> None:
    job = command.finished.job
    if job.kind is JobKind.BACKUP and any(map(batch.book.standing, keys_of(job))):
        watches.watch_danger(batch, job.source_group_id, command.finished.finish_time)
