"""Many failures in one call, each standing alone."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import structlog

from tocsin.alert.ledger.commands import RaiseAnswer, RaiseOrTouch
from tocsin.alert.rpc.convert import item_error
from tocsin.alert.rpc.observations import Reports
from tocsin.alert.rpc.wire import batch_response
from tocsin.common.errors import (
    InvalidArgumentError,
    PermissionDeniedError,
    ResourceExhaustedError,
    TocsinError,
    UnavailableError,
    Violations,
)
from tocsin.common.rpc.status import internal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from tocsin.alert.ledger.commands import Answer
    from tocsin.api.alert.v1 import alert_service_pb2 as pb
    from tocsin.common.rpc.caller import Peer

BATCH_ITEMS = 1000

_UNTRIED = UnavailableError, ResourceExhaustedError

_log = structlog.get_logger(__name__)


class BatchOfRaises:
    """The commands of a batch, and its response once each has a result.

    Raises InvalidArgumentError for a batch of no items or more than 1,000.
    """

    def __init__(
        self, request: pb.BatchRaiseOrTouchRequest, peer: Peer, received: datetime
    ) -> None:
        _check_size(request)
        read = Reports(peer, received).read
        self._read = [_tried(read, item) for item in request.requests]
        self.commands = [item for item in self._read if isinstance(item, RaiseOrTouch)]

    def response(self, results: Sequence[Answer | Exception]) -> bytes:
        """Return the response, serialised, given a result for each of `commands` in their order.

        When nothing at all could be tried, that error is raised in its place.
        """
        _raise_if_nothing_was_tried(results)
        rest = iter(results)
        return batch_response(
            [_told(next(rest) if isinstance(item, RaiseOrTouch) else item) for item in self._read]
        )


def _check_size(request: pb.BatchRaiseOrTouchRequest) -> None:
    found = Violations()
    count = len(request.requests)
    if not 1 <= count <= BATCH_ITEMS:
        found.add("requests", f"has {count:,} entries; write 1 to {BATCH_ITEMS:,}")
    found.raise_if_any()


def _tried(
    read: Callable[[pb.RaiseOrTouchRequest], RaiseOrTouch], item: pb.RaiseOrTouchRequest
) -> RaiseOrTouch | InvalidArgumentError | PermissionDeniedError:
    try:
        return read(item)
    except (InvalidArgumentError, PermissionDeniedError) as error:
        return error


def _raise_if_nothing_was_tried(results: Sequence[Answer | Exception]) -> None:
    first = results[0] if results else None
    if isinstance(first, _UNTRIED) and all(isinstance(each, _UNTRIED) for each in results):
        raise first


def _told(result: Answer | Exception) -> RaiseAnswer | pb.ItemError:
    if isinstance(result, RaiseAnswer):
        return result
    if isinstance(result, TocsinError):
        return item_error(result)
    error_id = uuid4()
    _log.error("batch item failed", error_id=str(error_id), result=repr(type(result)))
    return item_error(internal(error_id))
