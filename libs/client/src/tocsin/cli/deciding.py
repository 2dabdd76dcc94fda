"""`tocsin ack` and `tocsin resolve`: what a person decides about an alert."""

from typing import Annotated

import typer

from tocsin.cli import options, references
from tocsin.cli.alert_view import alert_summary
from tocsin.cli.command import command
from tocsin.cli.session import Session
from tocsin.cli.times import age, moment_of, stamp


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "ack")(acknowledge)
    command(app, "resolve")(resolve)


def acknowledge(
    session: Session,
    alert: options.AlertRef,
    *,
    note: options.Note = "",
    span: Annotated[
        str,
        typer.Option(
            "--for", metavar="SPAN", help="How long, such as 4h or 2d.", show_default="24h"
        ),
    ] = "",
    until: Annotated[
        str,
        typer.Option(
            "--until",
            metavar="TIME",
            help="Until when: 2026-01-31T09:00:00Z, or 09:00 for the next one here.",
        ),
    ] = "",
    on_behalf_of: options.OnBehalfOf = "",
    request_id: options.RequestId = "",
) -> None:
    """Take an alert on. It stays wrong, and rings again when the time is over."""
    expire_time = options.read_expiry(span, until)
    answer = session.alerts.acknowledge(
        references.alert_id(session, alert),
        note=note,
        on_behalf_of=on_behalf_of or options.login_name(),
        expire_time=expire_time,
        request_id=request_id or None,
    )
    if session.output.json_wanted:
        session.output.document(answer)
        return
    end = moment_of(answer.alert.acknowledge_expire_time)
    until_told = f"until {stamp(end)} ({age(end, session.now())})"
    told = "Acknowledged" if answer.changed else "Acknowledged already, nothing changed:"
    session.output.line(told, alert_summary(answer.alert), until_told)


def resolve(
    session: Session,
    alert: options.AlertRef,
    *,
    note: options.Note = "",
    on_behalf_of: options.OnBehalfOf = "",
    request_id: options.RequestId = "",
) -> None:
    """Resolve an alert by hand. The next failure of its key raises a new one."""
    answer = session.alerts.resolve(
        references.alert_id(session, alert),
        note=note,
        on_behalf_of=on_behalf_of or options.login_name(),
        request_id=request_id or None,
    )
    if session.output.json_wanted:
        session.output.document(answer)
        return
    told = "Resolved" if answer.changed else "Resolved already, nothing changed:"
    session.output.line(told, alert_summary(answer.alert))
