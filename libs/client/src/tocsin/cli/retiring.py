"""What is told of a host, source group or schedule that is watched no more."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from tocsin.cli.text import one_line

if TYPE_CHECKING:
    from tocsin.api.alert.v1 import backup_service_pb2 as pb
    from tocsin.cli.session import Session

    Retired: TypeAlias = (
        pb.RetireHostResponse | pb.RetireSourceGroupResponse | pb.RetireScheduleResponse
    )


def tell_retired(session: Session, name: str, answer: Retired, all_: str = "it") -> None:
    """Print that a thing is watched no more, and what was resolved with it.

    `all_` names what is to be put again to undo this.
    """
    if session.output.json_wanted:
        session.output.document(answer)
        return
    count = answer.resolved_count
    resolved = "Nothing stood for it" if not count else f"Resolved {count} of its alerts"
    session.output.line(
        f"{one_line(name)} is watched no more. {resolved}. Put {all_} again to undo."
    )
