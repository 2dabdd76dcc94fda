"""`tocsin protection`: is my data safe?"""

import typer

from tocsin.api.alert.v1.backup_pb2 import ProtectionStatus
from tocsin.cli import options
from tocsin.cli.backup_view import PROTECTION_HEADINGS, protection_row
from tocsin.cli.command import command
from tocsin.cli.output import as_json
from tocsin.cli.session import Session
from tocsin.cli.text import one_line

_PAGE = 1_000


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "protection", host_id="--host")(protection)


def protection(session: Session, *, host: options.OfHost = "") -> None:
    """Tell of every source group whether its data is safe: the last good backup, and what stands.

    safe: the last good backup is younger than the objective, and nothing is wrong. at risk: it is
    younger, but an alert stands. unprotected: it is older, or there is none.
    """
    found = list(session.backups.get_protection(host_id=host, page_size=_PAGE))
    if session.output.json_wanted:
        session.output.document({"protections": [as_json(each) for each in found]})
        return
    if not found:
        of = f" of {one_line(host)}" if host else ""
        session.output.line(f"No source groups{of} are watched. Write one with `tocsin group put`.")
        return
    now = session.now()
    worst_first = sorted(found, key=lambda each: -each.status)
    session.output.table(PROTECTION_HEADINGS, [protection_row(each, now) for each in worst_first])
    safe = sum(each.status == ProtectionStatus.PROTECTION_STATUS_SAFE for each in found)
    session.output.line(f"Safe: {safe} of {len(found)} source groups.")
