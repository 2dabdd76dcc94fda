"""`tocsin silence …`: what is not told for a while."""

from datetime import datetime, timedelta
from itertools import islice
from typing import Annotated

import typer

from tocsin.api.notify.v1.silence_pb2 import Silence, SilenceCoverage
from tocsin.cli import options, references
from tocsin.cli.command import command
from tocsin.cli.exits import wrong_usage
from tocsin.cli.matcher_text import HELP, read_matchers
from tocsin.cli.output import as_json
from tocsin.cli.session import Session
from tocsin.cli.silence_view import (
    COVERED_HEADINGS,
    SILENCE_HEADINGS,
    covered_row,
    covered_text,
    silence_fields,
    silence_row,
)

_PAGE = 1_000
_WRITTEN_AS = {
    "matchers": "--match",
    "start_time": "--from",
    "end_time": "--for / --until",
    "recurrence": "--cron / --on-calendar",
    "duration": "--lasts",
    "silence_id": "SILENCE",
}

SilenceRef = Annotated[
    str,
    typer.Argument(
        metavar="SILENCE", help="Its id, or at least 4 characters of the id's end or beginning."
    ),
]
Match = Annotated[
    list[str], typer.Option("--match", "-m", metavar="CONDITION", help=f"{HELP} May be repeated.")
]
Reason = Annotated[str, typer.Option("--reason", "-r", metavar="TEXT", help="Why.")]
Author = Annotated[
    str,
    typer.Option(
        "--author", metavar="PERSON", help="Who wants it.", show_default="your login name"
    ),
]
From = Annotated[
    str, typer.Option("--from", metavar="RFC3339", help="When it begins.", show_default="now")
]
Until = Annotated[
    str,
    typer.Option("--until", metavar="TIME", help="When it ends: 2026-01-31T07:00:00Z, or 07:00."),
]
Force = Annotated[
    bool, typer.Option("--force", help="Also if it covers many hosts or a critical alert.")
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Only tell what it would cover, and keep nothing.")
]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Hold back news for a while.", no_args_is_help=True)
    for name, function in (
        ("create", create),
        ("window", window),
        ("list", list_silences),
        ("show", show),
        ("expire", expire),
    ):
        command(group, name, **_WRITTEN_AS)(function)
    app.add_typer(group, name="silence")


def create(
    session: Session,
    *,
    match: Match,
    reason: Reason,
    for_: Annotated[
        str, typer.Option("--for", metavar="SPAN", help="For how long, such as 2h or 1d.")
    ] = "",
    until: Until = "",
    begin: From = "",
    author: Author = "",
    force: Force = False,
    dry_run: DryRun = False,
) -> None:
    """Hold back news of what matches, from now until its end. Give one of --for and --until.

    What a channel was told before goes on being told there.
    """
    if not for_ and not until:
        raise wrong_usage("A silence has an end: give one of --for and --until.")
    start = options.read_moment("--from", begin)
    end = options.read_expiry(for_, until)
    if for_ and start is not None and end is not None:
        end = start + (options.read_length("--for", for_) or timedelta())
    silence = _silence(match, reason, author)
    _set_times(silence, start, end)
    _create(session, silence, force=force, dry_run=dry_run)


def window(
    session: Session,
    *,
    match: Match,
    reason: Reason,
    lasts: Annotated[
        str, typer.Option("--lasts", metavar="SPAN", help="How long each time lasts.")
    ],
    time_zone: Annotated[
        str,
        typer.Option("--time-zone", metavar="ZONE", help="Of these times, such as Europe/Berlin."),
    ],
    cron: Annotated[
        str, typer.Option("--cron", metavar="FIELDS", help='As in a crontab: "0 2 * * sun".')
    ] = "",
    on_calendar: Annotated[
        str,
        typer.Option("--on-calendar", metavar="EVENT", help='As in a systemd timer: "Sun 02:00".'),
    ] = "",
    until: Until = "",
    begin: From = "",
    author: Author = "",
    force: Force = False,
    dry_run: DryRun = False,
) -> None:
    """Hold back news of what matches again and again. Give one of --cron and --on-calendar."""
    if bool(cron) == bool(on_calendar):
        raise wrong_usage("Give one of --cron and --on-calendar.")
    silence = _silence(match, reason, author)
    if cron:
        silence.recurrence.cron = cron
    else:
        silence.recurrence.on_calendar = on_calendar
    silence.recurrence.time_zone = time_zone
    length = options.read_length("--lasts", lasts)
    if length is not None:
        silence.duration.FromTimedelta(length)
    _set_times(silence, options.read_moment("--from", begin), options.read_expiry("", until))
    _create(session, silence, force=force, dry_run=dry_run)


def list_silences(
    session: Session,
    *,
    everything: Annotated[
        bool, typer.Option("--all", "-a", help="Those that are over, too.")
    ] = False,
    limit: Annotated[
        int, typer.Option("--limit", min=1, metavar="COUNT", help="At most so many.")
    ] = 100,
) -> None:
    """List the silences, the latest first."""
    found = session.notify.list_silences(
        include_expired=everything, page_size=min(limit + 1, _PAGE)
    )
    silences = list(islice(found, limit))
    left_out = next(found, None) is not None
    if session.output.json_wanted:
        content = {"silences": [as_json(each) for each in silences], "truncated": left_out}
        session.output.document(content)
        return
    if not silences:
        session.output.line("No silences.")
        return
    now = session.now()
    session.output.table(SILENCE_HEADINGS, [silence_row(each, now) for each in silences])
    if left_out:
        session.output.remark(f"Only the latest {limit:,} are listed. More: --limit COUNT")


def show(session: Session, silence: SilenceRef) -> None:
    """Show one silence, and what it covers now."""
    answer = session.notify.get_silence(references.silence_id(session, silence))
    if session.output.json_wanted:
        session.output.document(answer)
        return
    session.output.fields(silence_fields(answer.silence, session.now()))
    _tell_covered(session, answer.coverage)


def expire(session: Session, silence: SilenceRef) -> None:
    """End a silence now. What is still wrong is told."""
    answer = session.notify.expire_silence(references.silence_id(session, silence))
    if session.output.json_wanted:
        session.output.document(answer)
        return
    told = "Ended: what is still wrong is told now." if answer.changed else "It was over already."
    session.output.line(told)


def _silence(match: list[str], reason: str, author: str) -> Silence:
    return Silence(
        matchers=read_matchers("--match", match),
        reason=reason,
        author=author or options.login_name(),
    )


def _set_times(silence: Silence, start: datetime | None, end: datetime | None) -> None:
    if start is not None:
        silence.start_time.FromDatetime(start)
    if end is not None:
        silence.end_time.FromDatetime(end)


def _create(session: Session, silence: Silence, *, force: bool, dry_run: bool) -> None:
    answer = session.notify.create_silence(silence, force=force, dry_run=dry_run)
    if session.output.json_wanted:
        session.output.document(answer)
        return
    session.output.fields(silence_fields(answer.silence, session.now()))
    _tell_covered(session, answer.coverage)
    if dry_run:
        needed = " It would need --force." if answer.needs_force else ""
        session.output.line(f"Nothing was kept.{needed}")


def _tell_covered(session: Session, coverage: SilenceCoverage) -> None:
    session.output.line(covered_text(coverage))
    if coverage.examples:
        session.output.table(COVERED_HEADINGS, [covered_row(each) for each in coverage.examples])
        left = coverage.alert_count - len(coverage.examples)
        if left > 0:
            session.output.line(f"… and {left:,} more")
