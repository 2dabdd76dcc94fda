"""Messages that are made by the hundred, put together from bytes.

An alert is three times as long in the making as in the sending, field by field. So what a touch
leaves as it is of an alert is serialised once, and kept for the alerts of late: its event, its
answers and those of later touches add to it what differs. `eventlog/frames.py` says why bytes may
be joined so; that what comes out is the message that `convert` makes is asserted by a test.
"""

from __future__ import annotations

from functools import lru_cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from tocsin.alert.domain.alert import Alert
from tocsin.alert.eventlog.frames import varint
from tocsin.alert.rpc.convert import EVENT_TYPES, RAISE_OUTCOMES, alert_to_stub, fill_lasting
from tocsin.api.alert.v1 import alert_pb2, event_pb2
from tocsin.api.alert.v1 import alert_service_pb2 as pb
from tocsin.common.rpc.times import to_timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from uuid import UUID

    from google.protobuf.descriptor import Descriptor

    from tocsin.alert.domain.event import Event
    from tocsin.alert.ledger.commands import RaiseAnswer

# About 1 MB, and at most 10 in all: what has very many labels is made anew each time.
_KEPT_ALERTS = 1_000
_LONGEST_KEPT = 1_024
_KEPT_OTHERS = 64

_VARINT, _WITH_LENGTH = 0, 2  # https://protobuf.dev/programming-guides/encoding/#structure


def _tag(message: Descriptor, field: str, sort: int = _WITH_LENGTH) -> bytes:
    return varint(message.fields_by_name[field].number << 3 | sort)


_ALERT, _EVENT = alert_pb2.Alert.DESCRIPTOR, event_pb2.AlertEvent.DESCRIPTOR
_RAISE_TIME = _tag(_ALERT, "raise_time")
_MESSAGE = _tag(_ALERT, "message")
_OCCURRENCES = _tag(_ALERT, "occurrences", _VARINT)
_LAST_SEEN_TIME = _tag(_ALERT, "last_seen_time")
_VERSION = _tag(_ALERT, "version", _VARINT)
_EVENT_ID = _tag(_EVENT, "event_id") + varint(36)  # the characters of a UUID
_EVENT_ALERT = _tag(_EVENT, "alert")
_OCCUR_TIME = _tag(_EVENT, "occur_time")
_RECORD_TIME = _tag(_EVENT, "record_time")
_ANSWER_ALERT = _tag(pb.RaiseOrTouchResponse.DESCRIPTOR, "alert")
# By the numbers of the domain, as RAISE_OUTCOMES are.
_OUTCOMES = [pb.RaiseOrTouchResponse(outcome=each).SerializeToString() for each in RAISE_OUTCOMES]
_REPLAYED = pb.RaiseOrTouchResponse(replayed=True).SerializeToString()
_RESULT_RESPONSE = _tag(pb.BatchRaiseOrTouchResult.DESCRIPTOR, "response")
_RESULT_ERROR = _tag(pb.BatchRaiseOrTouchResult.DESCRIPTOR, "error")
_RESULT = _tag(pb.BatchRaiseOrTouchResponse.DESCRIPTOR, "results")


def encode_alert(alert: Alert) -> bytes:
    """Serialise an alert, for the snapshot of a stream: nothing of it is kept."""
    return alert_to_stub(alert).SerializeToString()


def encode_event(event: Event) -> bytes:
    """Serialise an event without its position: what the log keeps."""
    event_id, kind, alert, actor, on_behalf_of, note, occur_time, record_time, trace = event
    encoded = _encoded(alert)
    return b"".join(
        (
            _EVENT_ID,
            str(event_id).encode(),
            _EVENT_ALERT,
            varint(len(encoded)),
            encoded,
            _OCCUR_TIME,
            _time(occur_time),
            _RECORD_TIME,
            _time(record_time),
            _said(int(kind), actor, on_behalf_of, note, trace),
        )
    )


def encode_raise_answer(answer: RaiseAnswer) -> bytes:
    """Serialise a RaiseOrTouchResponse."""
    alert, outcome, replayed = answer
    rest = _OUTCOMES[outcome]
    if replayed:
        rest += _REPLAYED
    if alert is None:
        return rest
    encoded = _encoded(alert)
    return b"".join((_ANSWER_ALERT, varint(len(encoded)), encoded, rest))


def batch_response(results: Iterable[RaiseAnswer | pb.ItemError]) -> bytes:
    """Serialise a BatchRaiseOrTouchResponse."""
    return b"".join(map(_result, results))


def _result(result: RaiseAnswer | pb.ItemError) -> bytes:
    if type(result) is pb.ItemError:
        tag, inner = _RESULT_ERROR, result.SerializeToString()
    else:
        tag, inner = _RESULT_RESPONSE, encode_raise_answer(result)
    size = varint(len(inner))
    return b"".join((_RESULT, varint(len(tag) + len(size) + len(inner)), tag, size, inner))


def _encoded(alert: Alert) -> bytes:
    message = alert.message.encode()
    return b"".join(
        (
            _lasting(alert),
            _MESSAGE,
            varint(len(message)),
            message,
            _OCCURRENCES,
            varint(alert.occurrences),
            _LAST_SEEN_TIME,
            _time(alert.last_seen_time),
            _VERSION,
            varint(alert.version),
        )
    )


_TOUCHED = {"message", "occurrences", "last_seen_time", "version"}
_lasting_fields: itemgetter[tuple[Any, ...]] = itemgetter(
    *(place for place, name in enumerate(Alert._fields) if name not in _TOUCHED)
)
# With the fields that it was made of. A whole alert would hold on to its message.
_kept: dict[UUID, tuple[tuple[Any, ...], bytes]] = {}


def _lasting(alert: Alert) -> bytes:
    """Return what a touch leaves as it is of an alert."""
    fields = _lasting_fields(alert)
    kept = _kept.get(alert.alert_id)
    if kept is not None and kept[0] == fields:
        return kept[1]
    stub = alert_pb2.Alert()
    fill_lasting(stub, alert)
    lasting = stub.SerializeToString() + _RAISE_TIME + _time(alert.raise_time)
    if len(lasting) <= _LONGEST_KEPT:
        if len(_kept) >= _KEPT_ALERTS:
            _kept.clear()
        _kept[alert.alert_id] = fields, lasting
    return lasting


# Reports of one call have one time, unless they bring their own; and one caller.
@lru_cache(_KEPT_OTHERS)
def _time(time: datetime) -> bytes:
    """Return a Timestamp with its length before it."""
    stamp = to_timestamp(time).SerializeToString()
    return varint(len(stamp)) + stamp


@lru_cache(_KEPT_OTHERS)
def _said(kind: int, actor: str, on_behalf_of: str, note: str, traceparent: str) -> bytes:
    return event_pb2.AlertEvent(
        type=EVENT_TYPES[kind],
        actor=actor,
        on_behalf_of=on_behalf_of,
        note=note,
        traceparent=traceparent,
    ).SerializeToString()
