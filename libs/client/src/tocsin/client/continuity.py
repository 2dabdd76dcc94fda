"""Whether what a stream sends follows on what it sent before. Pure decisions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.client.errors import DataLossError, ErrorDetails

if TYPE_CHECKING:
    from tocsin.api.alert.v1.alert_service_pb2 import WatchEventsResponse
    from tocsin.api.alert.v1.event_pb2 import Position


class OutOfStepError(DataLossError):
    """DATA_LOSS: the stream left something out, sent something twice, or went back."""

    def __init__(self, message: str) -> None:
        super().__init__(message, ErrorDetails(reason="LOG_BROKEN"))


def check(last: Position | None, message: WatchEventsResponse, *, filtered: bool) -> None:
    """Raise OutOfStepError unless `message` follows on the position `last`.

    `last` is None for the first message of a subscription that named no position: it may begin
    anywhere. Without filters every revision must be there, in order, once, and the position is
    that of the last event. With filters revisions must grow, and the position must not fall.
    """
    here = message.position
    if not here.epoch:
        raise OutOfStepError("The stream sent a message without a position.")
    if last is not None and last.epoch and here.epoch != last.epoch:
        raise OutOfStepError(
            f"The stream changed from epoch {last.epoch} to {here.epoch} without an error."
        )
    reached = _walk(_base(last, message), message, filtered=filtered)
    if here.revision < reached or (not filtered and here.revision != reached):
        raise OutOfStepError(
            f"The stream is at revision {here.revision} by its position, "
            f"but {reached} by its events."
        )


def _base(last: Position | None, message: WatchEventsResponse) -> int:
    if last is not None and last.epoch:
        return last.revision
    if message.events:
        return message.events[0].position.revision - 1
    return message.position.revision


def _walk(reached: int, message: WatchEventsResponse, *, filtered: bool) -> int:
    """Return the revision of the last event, `reached` without any."""
    epoch = message.position.epoch
    for event in message.events:
        at = event.position
        revision = at.revision
        follows = revision > reached if filtered else revision == reached + 1
        if not follows or at.epoch != epoch:
            raise OutOfStepError(
                f"The stream sent revision {revision} of epoch {at.epoch} after revision "
                f"{reached} of epoch {epoch}."
            )
        reached = revision
    return reached
