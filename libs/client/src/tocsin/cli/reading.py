"""`tocsin list` and `tocsin show`: what is wrong, what happened, who was told."""

from collections.abc import Sequence
from itertools import islice
from typing import Annotated

import typer

from tocsin.api.alert.v1.alert_pb2 import Alert, AlertStatus, Severity
from tocsin.api.alert.v1.event_pb2 import AlertEvent
from tocsin.api.notify.v1.delivery_pb2 import Delivery
from tocsin.cli import options, references
from tocsin.cli.alert_view import (
    ALERT_HEADINGS,
    EVENT_HEADINGS,
    alert_fields,
    alert_row,
    event_rows,
)
from tocsin.cli.command import command
from tocsin.cli.delivery_view import ALERT_DELIVERY_HEADINGS, alert_delivery_row
from tocsin.cli.exits import CommandError
from tocsin.cli.failures import explain
from tocsin.cli.names import checked_name, checked_names
from tocsin.cli.output import as_json
from tocsin.cli.session import Session
from tocsin.client.errors import CallError

_PAGE = 1_000
_EVERY_STATUS = ("open", "acknowledged", "resolved")


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "list")(list_alerts)
    command(app, "show")(show)


def list_alerts(
    session: Session,
    *,
    status: Annotated[
        list[str],
        typer.Option(
            "--status",
            metavar="STATUS",
            help="Only open, acknowledged or resolved ones. May be repeated.",
            show_default="open and acknowledged",
        ),
    ] = [],  # noqa: B006 - typer never changes it
    host: options.Hosts = [],  # noqa: B006
    kind: options.Kinds = [],  # noqa: B006
    min_severity: options.MinSeverity = "info",
    everything: Annotated[bool, typer.Option("--all", "-a", help="Resolved ones as well.")] = False,
    limit: Annotated[
        int, typer.Option("--limit", min=1, metavar="COUNT", help="At most so many.")
    ] = 1_000,
) -> None:
    """List what is wrong, the latest raised first.

    Only what is not resolved, unless --status or --all say otherwise.
    """
    statuses = checked_names("--status", AlertStatus, status)
    found = session.alerts.list_alerts(
        statuses=_EVERY_STATUS if everything else statuses,
        host_ids=host,
        kinds=kind,
        min_severity=checked_name("--min-severity", Severity, min_severity),
        page_size=min(limit + 1, _PAGE),
    )
    alerts = list(islice(found, limit))
    left_out = next(found, None) is not None
    if session.output.json_wanted:
        content = {"alerts": [as_json(alert) for alert in alerts], "truncated": left_out}
        session.output.document(content)
        return
    _tell_list(session, alerts)
    if left_out:
        session.output.remark(f"Only the latest {limit:,} are listed. More: --limit COUNT")


def _tell_list(session: Session, alerts: Sequence[Alert]) -> None:
    if not alerts:
        session.output.line("No alerts.")
        return
    now = session.now()
    session.output.table(ALERT_HEADINGS, [alert_row(alert, now) for alert in alerts])


def show(session: Session, alert: options.AlertRef) -> None:
    """Show an alert, its timeline, and who was told."""
    identity = references.alert_id(session, alert)
    found = session.alerts.get_alert(identity)
    events = list(session.alerts.list_alert_events(identity, page_size=_PAGE))
    deliveries, failure = _deliveries_of(session, identity)
    if session.output.json_wanted:
        session.output.document(
            {
                "alert": as_json(found),
                "events": [as_json(event) for event in events],
                "deliveries": [as_json(delivery) for delivery in deliveries],
            }
        )
    else:
        _tell_alert(session, found, events, deliveries)
    if failure is not None:
        raise CommandError(f"The deliveries are not shown: {failure.message}", failure.code)


def _deliveries_of(session: Session, identity: str) -> tuple[list[Delivery], CommandError | None]:
    """Return the deliveries, or why they could not be read: the alert is shown all the same."""
    try:
        found = list(session.notify.list_deliveries(alert_id=identity, page_size=_PAGE))
    except CallError as error:
        return [], explain(error, session)
    return found[::-1], None


def _tell_alert(
    session: Session, alert: Alert, events: Sequence[AlertEvent], deliveries: Sequence[Delivery]
) -> None:
    out = session.output
    out.fields(alert_fields(alert, session.now()))
    out.line("")
    if events:
        out.table(EVENT_HEADINGS, event_rows(events))
    else:
        out.line("Its events are older than what the log keeps.")
    if deliveries:
        out.line("")
        now = session.now()
        out.table(ALERT_DELIVERY_HEADINGS, [alert_delivery_row(each, now) for each in deliveries])
