"""Reports of failures and successes: from the request to the ledger's command, or its refusal."""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar

from tocsin.alert.domain.alert import NO_LABELS, Severity
from tocsin.alert.domain.key import Key
from tocsin.alert.domain.observation import Caller, Failure, Success
from tocsin.alert.engine.observe import observed_at
from tocsin.alert.engine.wording import fit_message, fit_note
from tocsin.alert.ledger.commands import AutoResolve, RaiseOrTouch, RequestRef
from tocsin.api.alert.v1 import alert_pb2
from tocsin.common.errors import InvalidArgumentError, Violations
from tocsin.common.identity.roles import require_host
from tocsin.common.rpc.caller import ANONYMOUS
from tocsin.common.rpc.times import read_timestamp
from tocsin.common.rpc.validate import (
    ID_CHARACTERS,
    LABELS,
    REQUEST_ID_CHARACTERS,
    check_characters,
    check_labels,
    check_text,
    is_plain,
    read_choice,
    shown,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from tocsin.api.alert.v1 import alert_service_pb2
    from tocsin.common.rpc.caller import Peer

    Observation = alert_service_pb2.RaiseOrTouchRequest | alert_service_pb2.AutoResolveRequest
    Repeatable = TypeVar(
        "Repeatable",
        alert_service_pb2.RaiseOrTouchRequest,
        alert_service_pb2.AutoResolveRequest,
        alert_service_pb2.AcknowledgeRequest,
        alert_service_pb2.ResolveRequest,
    )

_KIND = re.compile(r"[a-z][a-z0-9_]{0,62}")
_SEVERITY_NAMES: dict[int, str] = {
    number: name for name, number in alert_pb2.Severity.items() if number
}
_SEVERITIES = {number: Severity(number) for number in _SEVERITY_NAMES}
_SEVERITY_OR_DEFAULT = {alert_pb2.SEVERITY_UNSPECIFIED: Severity.WARNING, **_SEVERITIES}
# Hosts and repositories have few sorts of labels: alerts share them, and they are looked at once.
_KNOWN_LABELS = 64


def read_raise(
    request: alert_service_pb2.RaiseOrTouchRequest, peer: Peer, received: datetime
) -> RaiseOrTouch:
    """Return the command, or raise InvalidArgumentError with all that is wrong."""
    return Reports(peer, received).read(request)


class Reports:
    """Reads the failures that came in one call.

    Nearly all are sound, and are seen to be so at one look. The others are read field by field.
    """

    __slots__ = ("_caller", "_labels", "_peer", "_received")

    def __init__(self, peer: Peer, received: datetime) -> None:
        self._caller = reporter_of(peer)
        self._labels = NO_LABELS
        self._peer = peer
        self._received = received

    def read(self, request: alert_service_pb2.RaiseOrTouchRequest) -> RaiseOrTouch:
        """Return the command, or raise InvalidArgumentError with all that is wrong.

        Raises PermissionDeniedError (HOST_NOT_ALLOWED) for a host that is not one of the peer's.
        """
        host_id, kind, dedup_key = request.host_id, request.kind, request.dedup_key
        require_host(self._peer, host_id)
        message, cause, labels = request.message, request.cause, self._labels_of(request.labels)
        severity = _SEVERITY_OR_DEFAULT.get(request.severity)
        texts = f"{host_id}{dedup_key}{message}{cause}"
        if (
            severity is None
            or labels is None
            or request.request_id
            or not 0 < len(host_id) <= ID_CHARACTERS
            or len(dedup_key) > ID_CHARACTERS
            or len(cause) > ID_CHARACTERS
            or not _KIND.fullmatch(kind)
            or not is_plain(texts)
            or (time := self._observed(request)) is None
        ):
            return self._read_carefully(request)
        key = Key(host_id, kind, dedup_key)
        failure = Failure(key, time, severity, fit_message(message), cause, labels)
        return RaiseOrTouch(failure, self._caller)

    def _labels_of(self, given: Mapping[str, str]) -> Mapping[str, str] | None:
        """Return labels, None where something is wrong with them.

        Most of a call are those of the failure before: to compare takes half of what to read does.
        """
        before = self._labels
        if len(given) == len(before):
            for name in before:
                if given.get(name) != before[name]:
                    break
            else:
                return before
        labels = _read_labels(given)
        self._labels = labels or NO_LABELS
        return labels

    def _observed(self, request: alert_service_pb2.RaiseOrTouchRequest) -> datetime | None:
        """Return the time that a failure stands at, None when it is malformed."""
        if not request.HasField("observe_time"):
            return self._received
        given = read_timestamp(Violations(), "observe_time", request.observe_time)
        return None if given is None else observed_at(given, self._received)

    def _read_carefully(self, request: alert_service_pb2.RaiseOrTouchRequest) -> RaiseOrTouch:
        found = Violations()
        key = _read_key(found, request)
        severity = read_severity(found, "severity", request.severity) or Severity.WARNING
        message, cause = request.message, request.cause
        check_characters(found, "message", message)
        check_text(found, "cause", cause, most=ID_CHARACTERS)
        labels = {name: request.labels[name] for name in request.labels}
        check_labels(found, "labels", labels)
        given = _read_observe_time(found, request)
        reference = read_request_id(found, "RaiseOrTouch", request)
        found.raise_if_any()
        time = observed_at(given, self._received)
        failure = Failure(key, time, severity, fit_message(message), cause, labels)
        return RaiseOrTouch(failure, self._caller, reference)


def _read_labels(given: Mapping[str, str]) -> Mapping[str, str] | None:
    if not given:
        return NO_LABELS
    if len(given) > LABELS:
        return None
    try:
        return _shared_labels(tuple([(name, given[name]) for name in given]))
    except InvalidArgumentError:
        return None


@lru_cache(_KNOWN_LABELS)
def _shared_labels(given: tuple[tuple[str, str], ...]) -> Mapping[str, str]:
    """Return the same labels for all that bear them. What is refused is not kept."""
    found = Violations()
    labels = dict(given)
    check_labels(found, "labels", labels)
    found.raise_if_any()
    return labels


def read_clear(
    request: alert_service_pb2.AutoResolveRequest, peer: Peer, received: datetime
) -> AutoResolve:
    """Return the command, or raise InvalidArgumentError with all that is wrong."""
    require_host(peer, request.host_id)
    found = Violations()
    key = _read_key(found, request)
    check_characters(found, "message", request.message)
    given = _read_observe_time(found, request)
    reference = read_request_id(found, "AutoResolve", request)
    found.raise_if_any()
    success = Success(key, observed_at(given, received), fit_note(request.message))
    return AutoResolve(success, reporter_of(peer), reference)


def read_severity(found: Violations, path: str, number: int) -> Severity | None:
    """Return a severity; None when it is unset, or has been noted as wrong."""
    if not number:
        return None
    severity = _SEVERITIES.get(number)
    if severity is None:
        read_choice(found, path, number, _SEVERITY_NAMES)
    return severity


def check_kind(found: Violations, path: str, kind: str) -> None:
    """Note a kind that is empty or malformed."""
    if not _KIND.fullmatch(kind):
        said = f"{shown(kind)!r} is not a kind" if kind else "must not be empty"
        found.add(
            path,
            f"{said}; write 1 to 63 characters a-z, 0-9 and _, a letter first, "
            f"for example backup_failed",
        )


def read_request_id(found: Violations, method: str, request: Repeatable) -> RequestRef | None:
    """Return how to recognise a repetition of this request; None when it names no request_id."""
    request_id = request.request_id
    if not request_id:
        return None
    check_text(found, "request_id", request_id, most=REQUEST_ID_CHARACTERS)
    return RequestRef(request_id, fingerprint(method, request))


def fingerprint(method: str, request: Repeatable) -> bytes:
    """Return a digest of what a request asks for, its request_id left out."""
    content = type(request)()
    content.MergeFrom(request)
    content.ClearField("request_id")
    asked = content.SerializeToString(deterministic=True)
    return hashlib.sha256(method.encode() + b"\0" + asked).digest()


def caller_of(peer: Peer, on_behalf_of: str = "") -> Caller:
    return Caller(peer.actor, on_behalf_of, peer.traceparent, peer.is_person, bool(peer.host_ids))


def reporter_of(peer: Peer) -> Caller:
    """Return who reports: a person only if that is proven, for each of their reports is kept."""
    is_person = peer.is_person and peer.actor != ANONYMOUS
    return Caller(peer.actor, "", peer.traceparent, is_person, bool(peer.host_ids))


def _read_key(found: Violations, request: Observation) -> Key:
    host_id, kind, dedup_key = request.host_id, request.kind, request.dedup_key
    check_text(found, "host_id", host_id, least=1, most=ID_CHARACTERS)
    check_kind(found, "kind", kind)
    check_text(found, "dedup_key", dedup_key, most=ID_CHARACTERS)
    return Key(host_id, kind, dedup_key)


def _read_observe_time(found: Violations, request: Observation) -> datetime | None:
    if not request.HasField("observe_time"):
        return None
    return read_timestamp(found, "observe_time", request.observe_time)
