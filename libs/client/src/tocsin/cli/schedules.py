"""`tocsin schedule …`: which runs are expected, and when their absence rings."""

from typing import Annotated

import typer

from tocsin.api.alert.v1.backup_pb2 import JobKind, Schedule
from tocsin.cli import options
from tocsin.cli.backup_view import SCHEDULE_HEADINGS, schedule_fields, schedule_row
from tocsin.cli.command import command
from tocsin.cli.exits import wrong_usage
from tocsin.cli.names import checked_name
from tocsin.cli.output import as_json
from tocsin.cli.retiring import tell_retired
from tocsin.cli.session import Session
from tocsin.cli.text import one_line
from tocsin.client.errors import NotFoundError

_PAGE = 1_000

ScheduleId = Annotated[
    str, typer.Argument(metavar="SCHEDULE", help="The schedule, as its runs are reported.")
]
Host = Annotated[
    str, typer.Option("--host", metavar="HOST", help="The host that runs it, for life.")
]
Job = Annotated[str, typer.Option("--job", metavar="KIND", help="backup, forget, prune or check.")]
SourceGroup = Annotated[
    str, typer.Option("--source-group", metavar="GROUP", help="What a backup saves.")
]
Repository = Annotated[
    str, typer.Option("--repository", metavar="ID", help="What forget, prune or check works on.")
]
Cron = Annotated[
    str, typer.Option("--cron", metavar="FIELDS", help='As in a crontab: "30 2 * * *".')
]
OnCalendar = Annotated[
    str,
    typer.Option("--on-calendar", metavar="EVENT", help='As in a systemd timer: "Mon..Fri 02:30".'),
]
Every = Annotated[
    str, typer.Option("--every", metavar="SPAN", help="So long after the run before, such as 6h.")
]
TimeZone = Annotated[
    str,
    typer.Option(
        "--time-zone",
        metavar="ZONE",
        help="Of --cron and --on-calendar, such as Europe/Berlin.",
        show_default="UTC",
    ),
]
Grace = Annotated[
    str,
    typer.Option("--grace", metavar="SPAN", help="How late a run may come.", show_default="15m"),
]
MaxDuration = Annotated[
    str,
    typer.Option(
        "--max-duration", metavar="SPAN", help="How long a run may take.", show_default="24h"
    ),
]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Say which runs are expected, and when.")
    for name, function in (
        ("put", put),
        ("list", list_schedules),
        ("show", show),
        ("retire", retire),
    ):
        command(group, name, host_id="--host", schedule_id="SCHEDULE")(function)
    app.add_typer(group, name="schedule", no_args_is_help=True)


def put(
    session: Session,
    schedule: ScheduleId,
    *,
    host: Host,
    job: Job,
    source_group: SourceGroup = "",
    repository: Repository = "",
    cron: Cron = "",
    on_calendar: OnCalendar = "",
    every: Every = "",
    time_zone: TimeZone = "",
    grace: Grace = "",
    max_duration: MaxDuration = "",
    disabled: Annotated[bool, typer.Option("--disabled", help="Expect no runs for now.")] = False,
) -> None:
    """Write a schedule, whole: what is not given is emptied. A retired one is watched again.

    Give one of --cron, --on-calendar and --every.
    """
    if sum(map(bool, (cron, on_calendar, every))) != 1:
        raise wrong_usage("Give one of --cron, --on-calendar and --every.")
    written = session.backups.put_schedule(
        schedule,
        host,
        checked_name("--job", JobKind, job),
        source_group_id=source_group,
        repository_id=repository,
        cron=cron,
        on_calendar=on_calendar,
        interval=options.read_length("--every", every),
        time_zone=time_zone,
        grace=options.read_length("--grace", grace),
        max_duration=options.read_length("--max-duration", max_duration),
        enabled=not disabled,
    )
    _tell(session, written)
    if source_group and not session.output.json_wanted:
        _tell_of_unknown_group(session, source_group)


def list_schedules(
    session: Session, *, host: options.OfHost = "", all_: options.All = False
) -> None:
    """List the schedules by their ids."""
    found = session.backups.list_schedules(host_id=host, include_retired=all_, page_size=_PAGE)
    schedules = list(found)
    if session.output.json_wanted:
        session.output.document({"schedules": [as_json(schedule) for schedule in schedules]})
        return
    if not schedules:
        session.output.line("No schedules: no run is missed. Write one with `tocsin schedule put`.")
        return
    now = session.now()
    session.output.table(SCHEDULE_HEADINGS, [schedule_row(each, now) for each in schedules])


def show(session: Session, schedule: ScheduleId) -> None:
    """Show one schedule, also a retired one."""
    _tell(session, session.backups.get_schedule(schedule))


def retire(session: Session, schedule: ScheduleId) -> None:
    """Expect no more runs of a schedule, and resolve the alert that one is missing."""
    answer = session.backups.retire_schedule(schedule)
    tell_retired(session, schedule, answer, from_now="none of its runs is missed any more")


def _tell_of_unknown_group(session: Session, source_group: str) -> None:
    """Print that a source group is not put: it may be mistyped, and nobody watches its age."""
    try:
        session.backups.get_source_group(source_group)
    except NotFoundError:
        name = one_line(source_group)
        session.output.line(f"No source group is called {name} yet: see `tocsin group put`.")


def _tell(session: Session, schedule: Schedule) -> None:
    if session.output.json_wanted:
        session.output.document({"schedule": as_json(schedule)})
        return
    session.output.fields(schedule_fields(schedule, session.now()))
