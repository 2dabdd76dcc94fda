"""`tocsin spool …`: the reports that wait on this machine."""

from typing import Annotated

import typer

from tocsin.api.alert.v1.backup_pb2 import JobKind, JobResult
from tocsin.api.alert.v1.backup_service_pb2 import ReportJobFinishedRequest
from tocsin.cli.command import command
from tocsin.cli.exits import CommandError, ExitCode
from tocsin.cli.job_options import SpoolFile, open_spool
from tocsin.cli.names import short_name
from tocsin.cli.output import as_json
from tocsin.cli.session import Session
from tocsin.cli.text import one_line
from tocsin.cli.times import age
from tocsin.client.spool import Spool, Spooled
from tocsin.client.spool_file import SpoolError
from tocsin.client.spool_flush import flush

_HEADINGS = ("TAKEN", "HOST", "JOB", "NEWS", "ID", "STATE")


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="The reports that wait on this machine.", no_args_is_help=True)
    command(group, "flush")(flush_spool)
    command(group, "list")(list_spool)
    app.add_typer(group, name="spool")


def flush_spool(
    session: Session,
    *,
    again: Annotated[
        bool, typer.Option("--again", help="Also send what was refused and set aside before.")
    ] = False,
    spool: SpoolFile = "",
) -> None:
    """Send the reports that wait, in the order in which they were taken.

    One that the service refuses is set aside and never sent again, unless --again is given.
    """
    with open_spool(spool) as kept:
        try:
            if again:
                kept.take_back()
            done = flush(kept, session.backups, lock_seconds=session.seconds)
        except SpoolError as error:
            raise unusable(error) from error
    for reason in done.refused:
        session.output.remark(f"Refused and set aside: {one_line(reason)}")
    if session.output.json_wanted:
        told = {"sent": done.sent, "left": done.left, "refused": list(done.refused)}
        session.output.document(told)
    else:
        session.output.line(f"Sent {reports(done.sent)}; {done.left or 'none'} left.")
    if done.error is not None:
        raise done.error
    if done.left:
        raise CommandError("Another process is sending.", ExitCode.UNREACHABLE)
    if done.refused:
        raise CommandError(f"{reports(len(done.refused))} refused.", ExitCode.REFUSED)


def list_spool(
    session: Session,
    *,
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=10_000, metavar="N", help="At most so many.")
    ] = 100,
    spool: SpoolFile = "",
) -> None:
    """List the reports that wait, those that were set aside, and count those that were dropped."""
    with open_spool(spool) as kept:
        try:
            _tell(session, kept, limit)
        except SpoolError as error:
            raise unusable(error) from error


def unusable(error: SpoolError) -> CommandError:
    """Return the error for a spool that cannot be used."""
    return CommandError(f"Cannot use {error}. Name another file with --spool or TOCSIN_SPOOL.")


def _tell(session: Session, kept: Spool, limit: int) -> None:
    counts = kept.counts()
    listed = [*kept.waiting(limit), *kept.set_aside(limit)][:limit]
    if session.output.json_wanted:
        session.output.document(
            {
                "waiting": counts.waiting,
                "set_aside": counts.set_aside,
                "dropped": counts.dropped,
                "reports": [_as_json(each) for each in listed],
            }
        )
        return
    if listed:
        session.output.table(_HEADINGS, [_row(each, session) for each in listed])
    session.output.line(
        f"{reports(counts.waiting)} waiting, {counts.set_aside} set aside, "
        f"{counts.dropped} dropped so far, in {kept.path}"
    )


def _row(spooled: Spooled, session: Session) -> list[str]:
    report = spooled.report
    return [
        age(spooled.made.wall, session.now()),
        report.host_id,
        short_name(JobKind, report.kind),
        (
            short_name(JobResult, report.result)
            if isinstance(report, ReportJobFinishedRequest)
            else "started"
        ),
        report.job_id,
        "waits" if spooled.reason is None else f"set aside: {spooled.reason}",
    ]


def _as_json(spooled: Spooled) -> dict[str, object]:
    ended = isinstance(spooled.report, ReportJobFinishedRequest)
    return {
        "take_time": spooled.made.wall.isoformat(),
        "set_aside_reason": spooled.reason,
        ("job_finished" if ended else "job_started"): as_json(spooled.report),
    }


def reports(count: int) -> str:
    """Return how many reports, in words."""
    return "1 report" if count == 1 else f"{count} reports"
