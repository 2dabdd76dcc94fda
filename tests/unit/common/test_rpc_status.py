from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from hypothesis import given
from hypothesis import strategies as st

from tocsin.common.errors import (
    AbortedError,
    AlreadyExistsError,
    DataLossError,
    FailedPreconditionError,
    FieldViolation,
    InvalidArgumentError,
    NotFoundError,
    OutOfRangeError,
    ResourceExhaustedError,
    TocsinError,
    UnavailableError,
)
from tocsin.common.rpc.status import DETAILS_BYTES, WireStatus, cut, internal, status_of

any_text = st.text(max_size=3000)
violations = st.lists(st.builds(FieldViolation, any_text, any_text), max_size=60)


def told(status: WireStatus) -> Status:
    ((key, raw),) = status.trailing_metadata
    assert key == "grpc-status-details-bin"
    return Status.FromString(raw)


def unpacked(status: WireStatus, kind: type[ErrorInfo | BadRequest | RetryInfo]) -> object:
    found = [detail for detail in told(status).details if detail.Is(kind.DESCRIPTOR)]
    if not found:
        return None
    message = kind()
    found[0].Unpack(message)
    return message


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidArgumentError("m"), grpc.StatusCode.INVALID_ARGUMENT),
        (NotFoundError("m", reason="R"), grpc.StatusCode.NOT_FOUND),
        (AlreadyExistsError("m", reason="R"), grpc.StatusCode.ALREADY_EXISTS),
        (FailedPreconditionError("m", reason="R"), grpc.StatusCode.FAILED_PRECONDITION),
        (AbortedError("m", reason="R"), grpc.StatusCode.ABORTED),
        (OutOfRangeError("m", reason="R"), grpc.StatusCode.OUT_OF_RANGE),
        (ResourceExhaustedError("m", reason="R"), grpc.StatusCode.RESOURCE_EXHAUSTED),
        (UnavailableError("m"), grpc.StatusCode.UNAVAILABLE),
        (DataLossError("m", reason="R"), grpc.StatusCode.DATA_LOSS),
        (TocsinError("m", reason="R"), grpc.StatusCode.INTERNAL),
    ],
)
def test_each_error_has_its_code_and_says_its_reason(
    error: TocsinError, code: grpc.StatusCode
) -> None:
    status = status_of(error)

    assert code is status.code
    assert code.value[0] == told(status).code
    assert "m" == status.message == told(status).message
    assert ErrorInfo(reason=error.reason, domain="tocsin") == unpacked(status, ErrorInfo)


def test_a_subclass_has_the_code_of_its_base() -> None:
    class UnsettledError(UnavailableError):
        pass

    assert grpc.StatusCode.UNAVAILABLE is status_of(UnsettledError("m")).code


def test_metadata_goes_into_the_error_info() -> None:
    error = OutOfRangeError("m", reason="REVISION_FUTURE", metadata={"head_revision": "7"})

    information = unpacked(status_of(error), ErrorInfo)

    assert ErrorInfo(
        reason="REVISION_FUTURE", domain="tocsin", metadata={"head_revision": "7"}
    ) == (information)


def test_an_error_that_may_pass_says_when_to_try_again() -> None:
    retry = unpacked(status_of(UnavailableError("m", retry_after=timedelta(seconds=2))), RetryInfo)

    assert isinstance(retry, RetryInfo)
    assert timedelta(seconds=2) == retry.retry_delay.ToTimedelta()


def test_every_violation_is_told_with_its_field() -> None:
    error = InvalidArgumentError.of([FieldViolation("a", "is wrong"), FieldViolation("b", "too")])

    bad = unpacked(status_of(error), BadRequest)

    assert isinstance(bad, BadRequest)
    assert [("a", "is wrong"), ("b", "too")] == [
        (v.field, v.description) for v in bad.field_violations
    ]


def test_violations_beyond_the_room_there_is_are_counted() -> None:
    error = InvalidArgumentError.of([FieldViolation(f"f{n}", "x" * 300) for n in range(300)])

    bad = unpacked(status_of(error), BadRequest)

    assert isinstance(bad, BadRequest)
    named = len(bad.field_violations) - 1
    assert f"and {300 - named} more like these" == bad.field_violations[-1].description


@given(message=any_text, found=violations, metadata=st.dictionaries(st.just("k"), any_text))
def test_details_stay_under_4_kib_and_all_of_it_under_8(
    message: str, found: list[FieldViolation], metadata: dict[str, str]
) -> None:
    error = InvalidArgumentError(message, violations=tuple(found))
    error.metadata = metadata

    status = status_of(error)

    details = len(status.trailing_metadata[0][1])
    percent_encoded = 3 * len(status.message.encode())
    assert details <= DETAILS_BYTES
    assert details * 4 / 3 + percent_encoded < 8000


@given(text=any_text, most=st.integers(3, 200))
def test_a_cut_text_fits_and_ends_between_characters(text: str, most: int) -> None:
    short = cut(text, most)

    assert len(short.encode()) <= most
    assert short == text or text.startswith(short.removesuffix("…"))


def test_a_text_with_half_a_surrogate_pair_can_still_be_told() -> None:
    assert "a?b" == cut("a\ud800b", 10)


def test_a_bug_is_told_by_its_error_id_only() -> None:
    error_id = UUID(int=7)

    status = status_of(internal(error_id))

    assert grpc.StatusCode.INTERNAL is status.code
    information = ErrorInfo(
        reason="INTERNAL", domain="tocsin", metadata={"error_id": str(error_id)}
    )
    assert information == unpacked(status, ErrorInfo)
