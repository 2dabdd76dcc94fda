"""`tocsin raise` and `tocsin clear`: observations by hand, as an orchestrator reports them."""

from typing import Annotated

import typer

from tocsin.api.alert.v1.alert_pb2 import Severity
from tocsin.api.alert.v1.alert_service_pb2 import ClearOutcome, RaiseOutcome
from tocsin.cli import options
from tocsin.cli.alert_view import alert_summary
from tocsin.cli.command import command
from tocsin.cli.names import checked_name, short_name
from tocsin.cli.session import Session

_TOLD_RAISE = {
    "raised": "Raised",
    "touched": "Touched, seen before:",
    "stale": "Nothing changed: this failure was observed before the key was last cleared.",
}
_TOLD_CLEAR = {
    "resolved": "Resolved",
    "nothing_open": "Nothing was wrong under this key. The time of the clear is remembered.",
    "stale": "Nothing changed: a failure was observed at that time or later.",
}


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "raise")(raise_alert)
    command(app, "clear")(clear)


def raise_alert(
    session: Session,
    host: options.Host,
    kind: options.Kind,
    *,
    dedup_key: options.DedupKey = "",
    severity: Annotated[
        str,
        typer.Option("--severity", "-s", metavar="SEVERITY", help="info, warning or critical."),
    ] = "warning",
    message: Annotated[
        str, typer.Option("--message", "-m", metavar="TEXT", help="Text for people.")
    ] = "",
    cause: Annotated[
        str,
        typer.Option("--cause", metavar="CAUSE", help="A class of cause, such as wrong_password."),
    ] = "",
    label: options.Labels = [],  # noqa: B006 - typer never changes it
    observe_time: options.ObserveTime = "",
    request_id: options.RequestId = "",
) -> None:
    """Report a failure.

    Raises an alert, or touches the one that is there. The key of an alert is HOST, KIND and
    --dedup-key: one alert at most is open under a key.
    """
    answer = session.alerts.raise_or_touch(
        host,
        kind,
        dedup_key,
        severity=checked_name("--severity", Severity, severity),
        message=message,
        cause=cause,
        labels=options.read_labels(label),
        observe_time=options.read_moment("--observe-time", observe_time),
        request_id=request_id or None,
    )
    if session.output.json_wanted:
        session.output.document(answer)
        return
    outcome = short_name(RaiseOutcome, answer.outcome)
    told = _TOLD_RAISE.get(outcome, outcome)
    if outcome == "stale":
        session.output.line(told)
        return
    session.output.line(told, alert_summary(answer.alert), f"x{answer.alert.occurrences}")


def clear(
    session: Session,
    host: options.Host,
    kind: options.Kind,
    *,
    dedup_key: options.DedupKey = "",
    message: Annotated[
        str, typer.Option("--message", "-m", metavar="TEXT", help="Text for people.")
    ] = "",
    observe_time: options.ObserveTime = "",
    request_id: options.RequestId = "",
) -> None:
    """Report a success.

    Resolves what is open under this key, if anything is.
    """
    answer = session.alerts.auto_resolve(
        host,
        kind,
        dedup_key,
        message=message,
        observe_time=options.read_moment("--observe-time", observe_time),
        request_id=request_id or None,
    )
    if session.output.json_wanted:
        session.output.document(answer)
        return
    outcome = short_name(ClearOutcome, answer.outcome)
    told = _TOLD_CLEAR.get(outcome, outcome)
    session.output.line(told, *([alert_summary(answer.alert)] if outcome == "resolved" else []))
