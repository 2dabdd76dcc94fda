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


def tell_retired(
    session: Session,
    name: str,
    answer: Retired,
    *,
    from_now: str = "its runs raise no alerts any more",
    all_: str = "it",
) -> None:
    """Print that a thing is retired, and what was resolved with it.

    `from_now` tells what that means, and `all_` names what is to be put again to undo it.
    """
    if session.output.json_wanted:
        session.output.document(answer)
        return
    count = answer.resolved_count
    resolved = "Nothing stood for it" if not count else f"Resolved {count} of its alerts"
    session.output.line(
        f"{one_line(name)} is retired: {from_now}. {resolved}. Put {all_} again to undo."
    )
