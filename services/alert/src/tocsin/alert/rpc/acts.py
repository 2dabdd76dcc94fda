"""What people do to alerts: from the request to the ledger's command, or its refusal."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from tocsin.alert.ledger.commands import Acknowledge, Resolve
from tocsin.alert.rpc.observations import caller_of, read_request_id
from tocsin.common.errors import Violations
from tocsin.common.rpc.times import read_timestamp
from tocsin.common.rpc.validate import ID_CHARACTERS, NOTE_CHARACTERS, check_text, read_uuid

if TYPE_CHECKING:
    from datetime import datetime

    from tocsin.api.alert.v1 import alert_service_pb2
    from tocsin.common.rpc.caller import Peer

    Act = alert_service_pb2.AcknowledgeRequest | alert_service_pb2.ResolveRequest

ACKNOWLEDGED_FOR = timedelta(hours=24)
ACKNOWLEDGED_AT_MOST_FOR = timedelta(days=366)

_NOBODY = UUID(int=0)


def read_acknowledge(
    request: alert_service_pb2.AcknowledgeRequest, peer: Peer, now: datetime
) -> Acknowledge:
    """Return the command, or raise InvalidArgumentError with all that is wrong."""
    found = Violations()
    alert_id = _read_act(found, request)
    expire_time = _read_expire_time(found, request, now)
    reference = read_request_id(found, "Acknowledge", request)
    found.raise_if_any()
    caller = caller_of(peer, request.on_behalf_of)
    return Acknowledge(alert_id, request.note, expire_time, caller, reference)


def read_resolve(request: alert_service_pb2.ResolveRequest, peer: Peer) -> Resolve:
    """Return the command, or raise InvalidArgumentError with all that is wrong."""
    found = Violations()
    alert_id = _read_act(found, request)
    reference = read_request_id(found, "Resolve", request)
    found.raise_if_any()
    return Resolve(alert_id, request.note, caller_of(peer, request.on_behalf_of), reference)


def _read_act(found: Violations, request: Act) -> UUID:
    alert_id = read_uuid(found, "alert_id", request.alert_id)
    check_text(found, "note", request.note, most=NOTE_CHARACTERS)
    check_text(found, "on_behalf_of", request.on_behalf_of, most=ID_CHARACTERS)
    return alert_id or _NOBODY


def _read_expire_time(
    found: Violations, request: alert_service_pb2.AcknowledgeRequest, now: datetime
) -> datetime:
    if not request.HasField("expire_time"):
        return now + ACKNOWLEDGED_FOR
    given = read_timestamp(found, "expire_time", request.expire_time)
    if given is None:
        return now
    if given <= now:
        found.add("expire_time", "is not in the future; write a later time, or none for 24 h")
    if given > now + ACKNOWLEDGED_AT_MOST_FOR:
        found.add("expire_time", "is more than 366 days ahead; write an earlier time")
    return given
