"""`tocsin job …` and `tocsin heartbeat`: what scripts and hooks say of a host and its jobs."""

from typing import Annotated

import typer

from tocsin.api.alert.v1.backup_pb2 import JobResult
from tocsin.cli import job_options, options
from tocsin.cli.command import command
from tocsin.cli.exits import wrong_usage
from tocsin.cli.job_options import JobGiven, open_spool
from tocsin.cli.names import checked_name
from tocsin.cli.session import Session
from tocsin.cli.spooling import reports, unusable
from tocsin.cli.text import one_line
from tocsin.client import backup_requests, restic
from tocsin.client.backup_requests import JobReport
from tocsin.client.spool import Spool
from tocsin.client.spool_file import SpoolError
from tocsin.client.spool_flush import flush

JobId = Annotated[
    str,
    typer.Option(
        "--job-id", metavar="ID", help="Names this run, at its start and its end. Unset: a new one."
    ),
]
Result = Annotated[
    str,
    typer.Option(
        "--result",
        metavar="RESULT",
        help="succeeded, incomplete, failed or cancelled.",
        show_default="as restic means its --exit-code",
    ),
]
ProgramsExitCode = Annotated[
    int | None,
    typer.Option(
        "--exit-code", min=-255, max=255, metavar="N", help="The exit code of the program."
    ),
]
ErrorText = Annotated[
    str, typer.Option("--error", metavar="TEXT", help="What the program said of its failure.")
]
StartTime = Annotated[
    str, typer.Option("--start-time", metavar="RFC3339", help="When the run began.")
]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Report a job from a script or a hook.", no_args_is_help=True)
    command(group, "start", host_id="--host", kind="--job")(start)
    command(group, "finish", host_id="--host", kind="--job")(finish)
    app.add_typer(group, name="job")
    command(app, "heartbeat", host_id="--host")(heartbeat)


def start(
    session: Session,
    *,
    host: job_options.Host,
    kind: job_options.Kind = "backup",
    source_group: job_options.SourceGroup = "",
    repository: job_options.Repository = "",
    schedule: job_options.Schedule = "",
    job_id: JobId = "",
    spool: job_options.SpoolFile = "",
) -> None:
    """Report that a job begins, and print its id for `tocsin job finish`.

    When the service cannot be reached the report is kept and sent later, and this succeeds.
    """
    job = JobGiven.read(host, kind, source_group, repository, schedule)
    job_id = job_id or backup_requests.new_job_id()
    _report(
        session,
        spool,
        backup_requests.report_job_started(job_id, job.host, job.kind, **job.fields()),
    )
    _tell_id(session, job_id)


def finish(
    session: Session,
    *,
    host: job_options.Host,
    result: Result = "",
    kind: job_options.Kind = "backup",
    source_group: job_options.SourceGroup = "",
    repository: job_options.Repository = "",
    schedule: job_options.Schedule = "",
    exit_code: ProgramsExitCode = None,
    error: ErrorText = "",
    start_time: StartTime = "",
    job_id: JobId = "",
    spool: job_options.SpoolFile = "",
) -> None:
    """Report how a job ended, and print its id.

    When the service cannot be reached the report is kept and sent later, and this succeeds.
    """
    job = JobGiven.read(host, kind, source_group, repository, schedule)
    if not result:
        if exit_code is None:
            raise wrong_usage("--result: is not given; write it, or give --exit-code")
        result = restic.ResticOutput(job.kind).result(exit_code)
    job_id = job_id or backup_requests.new_job_id()
    report = backup_requests.report_job_finished(
        job_id,
        job.host,
        job.kind,
        checked_name("--result", JobResult, result),
        exit_code=exit_code,
        error_text=error,
        **job.fields(options.read_moment("--start-time", start_time)),
    )
    _report(session, spool, report)
    _tell_id(session, job_id)


def heartbeat(
    session: Session, *, host: job_options.Host, spool: job_options.SpoolFile = ""
) -> None:
    """Say that a host lives. Reports that wait on it are sent along."""
    session.backups.report_heartbeat(host)
    with open_spool(spool) as kept:
        if kept.path.exists():
            _send(session, kept)
    if session.output.json_wanted:
        session.output.document({})


def _report(session: Session, spool: str, report: JobReport) -> None:
    with open_spool(spool) as kept:
        try:
            dropped = kept.add(report)
        except SpoolError as error:
            raise unusable(error) from error
        if dropped:
            session.output.remark(f"The spool {kept.path} is full: {reports(dropped)} dropped.")
        _send(session, kept)


def _send(session: Session, kept: Spool) -> None:
    try:
        done = flush(kept, session.backups, lock_seconds=session.seconds)
    except SpoolError as error:
        raise unusable(error) from error
    for reason in done.refused:
        session.output.remark(f"Refused and set aside: {one_line(reason)}")
    if done.left:
        why = f": {one_line(str(done.error))}" if done.error else "."
        session.output.remark(f"{reports(done.left)} left in {kept.path}, to be sent later{why}")


def _tell_id(session: Session, job_id: str) -> None:
    if session.output.json_wanted:
        session.output.document({"job_id": job_id})
    else:
        session.output.line(job_id)
