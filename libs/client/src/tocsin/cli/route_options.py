"""The options that make a route, and how they are read."""

import inspect
import re
from collections.abc import Callable
from dataclasses import MISSING, Field, dataclass, field, fields
from functools import wraps
from typing import Annotated, Any

import typer
from google.protobuf.duration_pb2 import Duration

from tocsin.api.notify.v1.route_pb2 import Route
from tocsin.cli import options, references
from tocsin.cli.exits import wrong_usage
from tocsin.cli.matcher_text import HELP, read_group_fields, read_matchers
from tocsin.cli.session import Session
from tocsin.client.values import duration

RouteRef = Annotated[
    str, typer.Argument(metavar="ROUTE", help="Its name, its id, or the end of its id.")
]
Channels = Annotated[
    list[str],
    typer.Option("--channel", "-c", metavar="CHANNEL", help="Who is told. May be repeated."),
]
Match = Annotated[
    list[str],
    typer.Option("--match", "-m", metavar="CONDITION", help=f"{HELP} May be repeated."),
]
LeastSeverity = Annotated[
    str,
    typer.Option(
        "--min-severity", metavar="SEVERITY", help="Only this or worse: info, warning or critical."
    ),
]
Continue = Annotated[
    bool | None,
    typer.Option(
        "--continue/--stop",
        help="Whether the routes after it are asked too.",
        show_default="stop",
    ),
]
GroupWait = Annotated[
    str,
    typer.Option(
        "--group-wait", metavar="SPAN", help="How long news waits for others of its group."
    ),
]
GroupBy = Annotated[
    list[str],
    typer.Option("--group-by", metavar="FIELD", help="What a group shares, such as host, kind."),
]
GroupSize = Annotated[
    int,
    typer.Option(
        "--max-group-size",
        metavar="COUNT",
        min=0,
        help="How many alerts one message tells.",
        show_default="100",
    ),
]
RemindAfter = Annotated[
    str,
    typer.Option(
        "--remind-after", metavar="SPAN", help="Tell again what is still wrong, first after this."
    ),
]
RemindFactor = Annotated[
    float,
    typer.Option(
        "--remind-factor", metavar="FACTOR", help="How pauses grow, 1 to 10.", show_default="2"
    ),
]
RemindPause = Annotated[
    str,
    typer.Option("--remind-pause", metavar="SPAN", help="The longest pause.", show_default="1d"),
]
RemindCount = Annotated[
    int,
    typer.Option(
        "--remind-count", metavar="COUNT", min=0, help="How many at most.", show_default="20"
    ),
]
Quiet = Annotated[
    str,
    typer.Option(
        "--quiet", metavar="FROM-TO", help="When to hold what is not critical: 22:00-07:00."
    ),
]
QuietDays = Annotated[
    list[str],
    typer.Option("--quiet-day", metavar="DAY", help="Only from mon, tue, … on. May be repeated."),
]
ProofCron = Annotated[
    str,
    typer.Option(
        "--proof-cron", metavar="FIELDS", help='Tell how all backups stand: "30 7 * * mon-fri".'
    ),
]
ProofCalendar = Annotated[
    str,
    typer.Option("--proof-calendar", metavar="EVENT", help='The same: "Mon..Fri 07:30".'),
]
TimeZone = Annotated[
    str,
    typer.Option(
        "--time-zone", metavar="ZONE", help="Of --quiet and --proof-…, such as Europe/Berlin."
    ),
]

WRITTEN_AS = {
    "display_name": "NAME",
    "channel_ids": "--channel",
    "matchers": "--match",
    "quiet_hours": "--quiet",
    "quiet_hours.start": "--quiet",
    "quiet_hours.end": "--quiet",
    "quiet_hours.time_zone": "--time-zone",
    "quiet_hours.days": "--quiet-day",
    "reminders.first_after": "--remind-after",
    "reminders.factor": "--remind-factor",
    "reminders.longest_pause": "--remind-pause",
    "reminders.max_count": "--remind-count",
    "proof.cron": "--proof-cron",
    "proof.on_calendar": "--proof-calendar",
    "proof.time_zone": "--time-zone",
    "route_id": "ROUTE",
    "kind": "KIND",
    "host_id": "HOST",
}
"""How the commands write the fields of a route."""

_SPAN_OF_DAY = re.compile(r"([^-\s]+)\s*-\s*([^-\s]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What was given; empty, 0 and None where nothing was."""

    channel: Channels = field(default_factory=list)
    match: Match = field(default_factory=list)
    min_severity: LeastSeverity = ""
    continue_matching: Continue = None
    group_wait: GroupWait = ""
    group_by: GroupBy = field(default_factory=list)
    max_group_size: GroupSize = 0
    remind_after: RemindAfter = ""
    remind_factor: RemindFactor = 0
    remind_pause: RemindPause = ""
    remind_count: RemindCount = 0
    quiet: Quiet = ""
    quiet_day: QuietDays = field(default_factory=list)
    proof_cron: ProofCron = ""
    proof_calendar: ProofCalendar = ""
    time_zone: TimeZone = ""


def takes_route_options(function: Callable[..., None]) -> Callable[..., None]:
    """Let a command take each field of Given as an option; the function gets them as `given`."""
    names = [each.name for each in fields(Given)]

    @wraps(function)
    def run(session: Session, **values: Any) -> None:
        function(session, given=Given(**{name: values.pop(name) for name in names}), **values)

    own = inspect.signature(function).parameters
    shared = [
        inspect.Parameter(
            each.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=_default(each),
            annotation=each.type,
        )
        for each in fields(Given)
    ]
    kept = [parameter for name, parameter in own.items() if name != "given"]
    run.__signature__ = inspect.Signature([*kept, *shared])  # type: ignore[attr-defined]  # how inspect is told
    return run


def _default(of: Field[Any]) -> Any:
    return of.default if of.default_factory is MISSING else of.default_factory()


def put_onto(route: Route, session: Session, given: Given) -> None:
    """Write what was given over what a route has. Raises CommandError."""
    if given.channel:
        del route.channel_ids[:]
        route.channel_ids.extend(references.channel_id(session, each) for each in given.channel)
    if given.match:
        del route.matchers[:]
        route.matchers.extend(read_matchers("--match", given.match))
    if given.min_severity:
        route.min_severity = given.min_severity.strip().lower()
    if given.continue_matching is not None:
        route.continue_matching = given.continue_matching
    _put_group(route, given)
    _put_reminders(route, given)
    _put_quiet_hours(route, given)
    _put_proof(route, given)


def _put_group(route: Route, given: Given) -> None:
    if given.group_wait:
        route.group_wait.CopyFrom(_length("--group-wait", given.group_wait))
    if given.group_by:
        del route.group_by[:]
        route.group_by.extend(read_group_fields("--group-by", given.group_by))
    if given.max_group_size:
        route.max_group_size = given.max_group_size


def _put_reminders(route: Route, given: Given) -> None:
    if given.remind_after:
        route.reminders.first_after.CopyFrom(_length("--remind-after", given.remind_after))
    if given.remind_factor:
        route.reminders.factor = given.remind_factor
    if given.remind_pause:
        route.reminders.longest_pause.CopyFrom(_length("--remind-pause", given.remind_pause))
    if given.remind_count:
        route.reminders.max_count = given.remind_count


def _put_quiet_hours(route: Route, given: Given) -> None:
    if given.quiet:
        span = _SPAN_OF_DAY.fullmatch(given.quiet.strip())
        if span is None:
            raise wrong_usage(
                f"--quiet: {given.quiet!r} is no span of the day; write it such as 22:00-07:00"
            )
        route.quiet_hours.start, route.quiet_hours.end = span.groups()
    if given.quiet_day:
        days = [day.strip().lower() for each in given.quiet_day for day in each.split(",")]
        del route.quiet_hours.days[:]
        route.quiet_hours.days.extend(days)
    if given.time_zone and route.HasField("quiet_hours"):
        route.quiet_hours.time_zone = given.time_zone


def _put_proof(route: Route, given: Given) -> None:
    if given.proof_cron and given.proof_calendar:
        raise wrong_usage("--proof-cron and --proof-calendar exclude each other; give one of them")
    if given.proof_cron:
        route.proof.cron = given.proof_cron
    if given.proof_calendar:
        route.proof.on_calendar = given.proof_calendar
    if given.time_zone and route.HasField("proof"):
        route.proof.time_zone = given.time_zone
    if given.time_zone and not (route.HasField("proof") or route.HasField("quiet_hours")):
        raise wrong_usage("--time-zone: is for --quiet, --proof-cron and --proof-calendar")


def _length(option: str, text: str) -> Duration:
    length = duration(options.read_length(option, text))
    if length is None:
        raise wrong_usage(f"{option}: write a length of time such as 30m")
    return length
