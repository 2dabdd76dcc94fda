"""`tocsin route try` and `simulate`: who would be told. Nothing is sent."""

from typing import Annotated

import typer

from tocsin.api.notify.v1.route_service_pb2 import SampleEvent
from tocsin.cli import options
from tocsin.cli.command import command
from tocsin.cli.route_view import SIMULATED_HEADINGS, simulated_row
from tocsin.cli.session import Session
from tocsin.cli.text import one_line


def add_to(group: typer.Typer) -> None:
    """Add the commands."""
    command(group, "try", host_id="HOST", kind="KIND", event_type="--event", occur_time="--at")(
        try_event
    )
    command(group, "simulate", days="--days")(simulate)


def try_event(
    session: Session,
    host: options.Host,
    kind: options.Kind,
    *,
    event: Annotated[
        str, typer.Option("--event", metavar="EVENT", help="What happens: raised, resolved, ….")
    ] = "raised",
    severity: Annotated[
        str, typer.Option("--severity", metavar="SEVERITY", help="info, warning or critical.")
    ] = "warning",
    dedup_key: options.DedupKey = "",
    cause: Annotated[str, typer.Option("--cause", metavar="CAUSE", help="The cause.")] = "",
    label: options.Labels = [],  # noqa: B006 - typer never changes it
    host_label: Annotated[
        list[str],
        typer.Option("--host-label", metavar="NAME=VALUE", help="One of the host's."),
    ] = [],  # noqa: B006
    at: Annotated[
        str, typer.Option("--at", metavar="RFC3339", help="When.", show_default="now")
    ] = "",
) -> None:
    """Tell who would hear of an event that is made up. Nothing is sent."""
    sample = SampleEvent(
        host_id=host,
        kind=kind,
        event_type=event.strip().lower(),
        severity=severity.strip().lower(),
        dedup_key=dedup_key,
        cause=cause,
        labels=options.read_labels(label),
        host_labels=options.read_labels(host_label),
    )
    moment = options.read_moment("--at", at)
    if moment is not None:
        sample.occur_time.FromDatetime(moment)
    answer = session.notify.simulate_routes(sample=sample)
    if session.output.json_wanted:
        session.output.document(answer)
        return
    if not answer.channels:
        session.output.line("Nobody would be told: no route matches, or its channels are disabled.")
        return
    session.output.table(SIMULATED_HEADINGS, [simulated_row(each) for each in answer.channels])


def simulate(
    session: Session,
    *,
    days: Annotated[
        int, typer.Option("--days", metavar="COUNT", help="How many of the last days.")
    ] = 7,
) -> None:
    """Tell who would have heard of the events of the last days, and how often, by these routes."""
    answer = session.notify.simulate_routes(days=days)
    if session.output.json_wanted:
        session.output.document(answer)
        return
    if answer.channels:
        rows = [simulated_row(each) for each in answer.channels]
        session.output.table(SIMULATED_HEADINGS, rows)
    untold = f" {answer.untold_count:,} would be told to nobody" if answer.untold_count else ""
    kinds = f": {', '.join(map(one_line, answer.untold_kinds))}." if untold else ""
    session.output.line(f"{answer.event_count:,} events.{untold}{kinds}")
    if answer.truncated:
        session.output.remark("There are more; only the latest were looked at.")
