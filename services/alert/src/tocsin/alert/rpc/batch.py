"""Many failures in one call, each standing alone."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import structlog

from tocsin.alert.ledger.commands import RaiseAnswer, RaiseOrTouch
from tocsin.alert.rpc.convert import item_error, raise_answer_to_stub
from tocsin.alert.rpc.observations import read_raise
from tocsin.api.alert.v1 import alert_service_pb2 as pb
from tocsin.common.errors import (
    InvalidArgumentError,
    ResourceExhaustedError,
    TocsinError,
    UnavailableError,
    Violations,
)
from tocsin.common.rpc.status import internal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from tocsin.alert.ledger.commands import Answer
    from tocsin.common.rpc.caller import Peer

BATCH_ITEMS = 1000

_log = structlog.get_logger(__name__)


class BatchOfRaises:
    """The commands of a batch, and its response once each has a result.

    Raises InvalidArgumentError for a batch of no items or more than 1,000.
    """

    def __init__(
        self, request: pb.BatchRaiseOrTouchRequest, peer: Peer, received: datetime
    ) -> None:
        _check_size(request)
        self._read = [_read_item(item, peer, received) for item in request.requests]
        self.commands = [item for item in self._read if isinstance(item, RaiseOrTouch)]

    def response(self, results: Sequence[Answer | Exception]) -> pb.BatchRaiseOrTouchResponse:
        """Return the response, given a result for each of `commands` in their order.

        When nothing at all could be tried, that error is raised in its place.
        """
        _raise_if_nothing_was_tried(results)
        rest = iter(results)
        return pb.BatchRaiseOrTouchResponse(
            results=[
                _item_to_stub(next(rest) if isinstance(item, RaiseOrTouch) else item)
                for item in self._read
            ]
        )


def _check_size(request: pb.BatchRaiseOrTouchRequest) -> None:
    found = Violations()
    count = len(request.requests)
    if not 1 <= count <= BATCH_ITEMS:
        found.add("requests", f"has {count:,} entries; write 1 to {BATCH_ITEMS:,}")
    found.raise_if_any()


def _read_item(
    item: pb.RaiseOrTouchRequest, peer: Peer, received: datetime
) -> RaiseOrTouch | InvalidArgumentError:
    try:
        return read_raise(item, peer, received)
    except InvalidArgumentError as error:
        return error


def _raise_if_nothing_was_tried(results: Sequence[Answer | Exception]) -> None:
    untried = [r for r in results if isinstance(r, UnavailableError | ResourceExhaustedError)]
    if untried and len(untried) == len(results):
        raise untried[0]


def _item_to_stub(result: Answer | Exception) -> pb.BatchRaiseOrTouchResult:
    if isinstance(result, RaiseAnswer):
        return pb.BatchRaiseOrTouchResult(response=raise_answer_to_stub(result))
    return pb.BatchRaiseOrTouchResult(error=item_error(_told(result)))


def _told(result: object) -> TocsinError:
    if isinstance(result, TocsinError):
        return result
    error_id = uuid4()
    _log.error("batch item failed", error_id=str(error_id), result=repr(type(result)))
    return internal(error_id)
