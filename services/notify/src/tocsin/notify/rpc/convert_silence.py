"""From our silences to the contract's messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.api.notify.v1 import silence_pb2
from tocsin.common.rpc.times import to_timestamp
from tocsin.notify.router.silences import active_until, next_start, over_time
from tocsin.notify.rpc.convert_condition import matcher_to_stub, recurrence_to_stub
from tocsin.notify.rpc.lengths import to_duration

if TYPE_CHECKING:
    from datetime import datetime

    from google.protobuf.timestamp_pb2 import Timestamp

    from tocsin.notify.domain.silence import Silence
    from tocsin.notify.router.coverage import Coverage


def silence_to_stub(silence: Silence, now: datetime, *, kept: bool = True) -> silence_pb2.Silence:
    """Return a silence as callers see it at `now`; without its id and times when it is not kept."""
    until = active_until(silence, now)
    stub = silence_pb2.Silence(
        silence_id=str(silence.silence_id) if kept else "",
        matchers=[matcher_to_stub(matcher) for matcher in silence.matchers],
        start_time=to_timestamp(silence.start_time),
        end_time=_stamp(silence.end_time),
        author=silence.author,
        reason=silence.reason,
        state=_state(silence, until, now),
        active_until_time=_stamp(until),
        create_time=_stamp(silence.create_time if kept else None),
        created_by=silence.created_by if kept else "",
        expire_time=_stamp(silence.expire_time),
        expired_by=silence.expired_by,
    )
    if silence.recurrence is not None and silence.duration is not None:
        stub.recurrence.CopyFrom(recurrence_to_stub(silence.recurrence))
        stub.duration.CopyFrom(to_duration(silence.duration))
        if (coming := next_start(silence, now)) is not None:
            stub.next_start_time.CopyFrom(to_timestamp(coming))
    return stub


def coverage_to_stub(coverage: Coverage) -> silence_pb2.SilenceCoverage:
    """Return what a silence covers as callers see it."""
    return silence_pb2.SilenceCoverage(
        alert_count=coverage.alert_count,
        host_count=coverage.host_count,
        critical_count=coverage.critical_count,
        examples=[
            silence_pb2.CoveredAlert(
                alert_id=str(alert.alert_id),
                host_id=alert.host_id,
                host_name=alert.host_name,
                kind=alert.kind,
                dedup_key=alert.dedup_key,
                severity=alert.severity.name.lower(),
            )
            for alert in coverage.examples
        ],
    )


def _state(
    silence: Silence, until: datetime | None, now: datetime
) -> silence_pb2.SilenceState.ValueType:
    over = over_time(silence)
    if over is not None and now >= over:
        return silence_pb2.SILENCE_STATE_EXPIRED
    if now < silence.start_time:
        return silence_pb2.SILENCE_STATE_PENDING
    if until is not None:
        return silence_pb2.SILENCE_STATE_ACTIVE
    return silence_pb2.SILENCE_STATE_BETWEEN


def _stamp(time: datetime | None) -> Timestamp | None:
    return None if time is None else to_timestamp(time)
