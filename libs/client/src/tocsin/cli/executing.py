"""`tocsin exec`: runs a backup program and reports how it went."""

import sys
from contextlib import suppress
from datetime import timedelta
from pathlib import PurePath
from typing import Annotated

import typer

from tocsin.cli import job_options
from tocsin.cli.command import command
from tocsin.cli.courier import Courier
from tocsin.cli.exits import wrong_usage
from tocsin.cli.job_options import JobGiven, open_spool
from tocsin.cli.running import Signals, run
from tocsin.cli.session import Session
from tocsin.client import backup_requests, restic
from tocsin.client.backup_requests import JobReport
from tocsin.client.moments import Moment, this_moment

_DRY_RUN = ("--dry-run", "--dry-run=true", "-n")
Words = Annotated[
    list[str],
    typer.Argument(metavar="COMMAND...", help="What to run, with its arguments, after a --."),
]


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "exec")(execute)
    # What follows the program's name is the program's, also where we know such an option.
    app.registered_commands[-1].context_settings = {"allow_interspersed_args": False}


def execute(
    session: Session,
    words: Words,
    *,
    host: job_options.Host,
    kind: job_options.Kind = "backup",
    source_group: job_options.SourceGroup = "",
    repository: job_options.Repository = "",
    schedule: job_options.Schedule = "",
    spool: job_options.SpoolFile = "",
) -> int:
    """Run a backup program, restic for one, and report its start and its end.

    Its output, signals and exit code are passed through unchanged. With `restic backup --json` its
    counts are reported too. A service that cannot be reached changes nothing about the run: the
    reports are kept in the spool and sent by the next `tocsin exec` or `tocsin spool flush`.
    """
    if not words[0]:
        raise wrong_usage("COMMAND: nothing to run is given")
    job = JobGiven.read(host, kind, source_group, repository, schedule)
    job_id = backup_requests.new_job_id()
    said = restic.ResticOutput(job.kind, is_dry_run=_is_dry_run(words))
    with open_spool(spool) as kept:
        courier = Courier(kept, session.alert_target, session.seconds, _tell)
        signals = Signals(after=courier.hurry)
        with signals.handled():
            began = this_moment()
            started = _started(job, job_id, began)
            code = run(words, said, signals, begun=lambda: courier.begin(started))
            try:
                courier.end(_finished(job, job_id, said, code, began))
            except Exception as error:  # noqa: BLE001 - no fault of ours may change the result
                _tell(f"the run is not reported: {error!r}")
            if said.result(code) == "cancelled":
                _tell("a dry run is reported as cancelled: neither a success nor a failure")
    return code


def _started(job: JobGiven, job_id: str, began: Moment) -> JobReport:
    return backup_requests.report_job_started(job_id, job.host, job.kind, **job.fields(began.wall))


def _finished(
    job: JobGiven, job_id: str, said: restic.ResticOutput, code: int, began: Moment
) -> JobReport:
    ended = this_moment()
    # By the clock as it stands at the end, even if it was turned in between.
    start_time = ended.wall - max(began.age(ended), timedelta(0))
    return restic.job_finished(
        said,
        code,
        job_id=job_id,
        host_id=job.host,
        kind=job.kind,
        finish_time=ended.wall,
        **job.fields(start_time),
    )


def _is_dry_run(words: list[str]) -> bool:
    """Whether restic is told only to say what it would do: not all of its versions say so."""
    names = [PurePath(word).name for word in words]
    if "restic" not in names:
        return False
    return any(word in _DRY_RUN for word in words[names.index("restic") :])


def _tell(text: str) -> None:
    with suppress(OSError, ValueError):  # nobody may be there to read it
        print(f"tocsin: {text}", file=sys.stderr, flush=True)  # noqa: T201 - for people
