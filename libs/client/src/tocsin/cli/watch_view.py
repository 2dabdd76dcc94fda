"""What comes over the stream, as people and programs read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from tocsin.cli.alert_view import event_note, event_type, severity_text
from tocsin.cli.output import as_json
from tocsin.cli.references import short_id
from tocsin.cli.text import one_line
from tocsin.cli.times import moment_of, stamp
from tocsin.client.diff import FOUND

if TYPE_CHECKING:
    from tocsin.api.alert.v1.alert_pb2 import Alert
    from tocsin.cli.session import Session
    from tocsin.client.batch import StreamBatch, StreamEvent

_EVENT_WIDTH = 16
_SEVERITY_WIDTH = 8


def tell_batch(session: Session, batch: StreamBatch) -> None:
    """Print what a batch brings."""
    if session.output.json_wanted:
        _print_json(session, batch)
        return
    for alert in batch.snapshot:
        session.output.line(stamp(moment_of(alert.raise_time)), *_parts("(is there)", alert, ""))
    for each in batch.events:
        mark = [Text("(found by comparison)", style="dim")] if each.synthetic else []
        session.output.line(*_event_parts(each), *mark)


def _print_json(session: Session, batch: StreamBatch) -> None:
    out = session.output
    for alert in batch.snapshot:
        out.json_line({"snapshot_alert": as_json(alert)})
    for each in batch.events:
        out.json_line({"event": as_json(each.event), "synthetic": each.synthetic})
    out.json_line({"position": as_json(batch.position), "caught_up": batch.caught_up})


def _event_parts(each: StreamEvent) -> list[str | Text]:
    event = each.event
    by = f" by {event.on_behalf_of or event.actor}" if event.note else ""
    note = event_note(event)
    told = f"{note}{by}" if note else ""
    if event.note == FOUND:  # the mark says it shorter
        told = event.alert.message
    return [stamp(moment_of(event.occur_time)), *_parts(event_type(event), event.alert, told)]


def _parts(happened: str, alert: Alert, told: str) -> list[str | Text]:
    severity = severity_text(alert)
    severity.pad_right(_SEVERITY_WIDTH - len(severity))
    where = (alert.host_name or alert.host_id, alert.kind, alert.dedup_key)
    return [
        f"{happened:<{_EVENT_WIDTH}}",
        severity,
        Text(short_id(alert.alert_id), style="dim"),
        one_line(" ".join(part for part in where if part)) + (":" if told else ""),
        *([Text(one_line(told))] if told else []),
    ]
