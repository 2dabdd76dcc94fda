from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import grpc
import grpc.aio
import pytest

from tocsin.client import errors
from tocsin.common import errors as common
from tocsin.common.rpc.status import internal, status_of


def received(error: common.TocsinError) -> errors.CallError:
    """Return what the client makes of an error that our servers send."""
    wire = status_of(error)
    return errors.from_rpc_error(
        grpc.aio.AioRpcError(
            wire.code,
            grpc.aio.Metadata(),
            grpc.aio.Metadata(*wire.trailing_metadata),
            details=wire.message,
        )
    )


def bare(code: grpc.StatusCode, text: str, *trailing: tuple[str, bytes]) -> errors.CallError:
    return errors.from_rpc_error(
        grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(*trailing), text)
    )


@pytest.mark.parametrize(
    "code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK]
)
def test_each_status_code_has_a_class_of_its_own(code: grpc.StatusCode) -> None:
    error = bare(code, "text")

    assert error.code is code
    assert type(error) is not errors.CallError


def test_an_error_bears_its_reason_and_its_metadata() -> None:
    gone = common.OutOfRangeError(
        "Too old.", reason="REVISION_COMPACTED", metadata={"oldest_revision": "7"}
    )
    error = received(gone)

    assert isinstance(error, errors.OutOfRangeError)
    assert error.reason == "REVISION_COMPACTED"
    assert error.metadata == {"oldest_revision": "7"}


def test_wrong_fields_are_told_by_their_paths() -> None:
    wrong = common.InvalidArgumentError(
        "Two fields are wrong.",
        violations=(
            common.FieldViolation("host_id", "write 1 to 256 characters"),
            common.FieldViolation("labels[disk]", "no NUL"),
        ),
    )
    error = received(wrong)

    assert isinstance(error, errors.InvalidArgumentError)
    assert error.field_violations[0] == ("host_id", "write 1 to 256 characters")
    expected = (
        "Two fields are wrong. (INVALID_ARGUMENT, INVALID_FIELD)\n"
        "  host_id: write 1 to 256 characters\n"
        "  labels[disk]: no NUL"
    )
    assert expected == str(error)


def test_a_violation_that_the_message_tells_already_is_not_repeated() -> None:
    error = received(
        common.InvalidArgumentError.of([common.FieldViolation("kind", "must not be empty")])
    )

    assert str(error) == "kind: must not be empty (INVALID_ARGUMENT, INVALID_FIELD)"


def test_an_error_says_how_long_to_wait() -> None:
    error = received(common.UnavailableError("Away.", retry_after=timedelta(seconds=1.5)))

    assert isinstance(error, errors.UnavailableError)
    assert timedelta(seconds=1.5) == error.retry_delay


def test_a_bug_of_the_server_is_told_with_the_id_that_finds_it() -> None:
    error_id = UUID(int=7)
    error = received(internal(error_id))

    assert isinstance(error, errors.InternalError)
    assert error.error_id == str(error_id)
    assert str(error_id) in str(error)


def test_an_error_without_details_is_still_told() -> None:
    error = bare(grpc.StatusCode.UNAVAILABLE, "failed to connect")

    assert str(error) == "failed to connect (UNAVAILABLE)"
    assert error.reason == ""
    assert error.metadata == {}
    assert error.field_violations == ()
    assert error.retry_delay is None
    assert error.error_id == ""


@pytest.mark.parametrize("junk", [b"\xff\xff\xff", b"", b"\x08\x05\x12\x05other"])
def test_details_that_cannot_be_read_do_not_hide_the_error(junk: bytes) -> None:
    error = bare(grpc.StatusCode.NOT_FOUND, "gone", ("grpc-status-details-bin", junk))

    assert isinstance(error, errors.NotFoundError)
    assert str(error) == "gone (NOT_FOUND)"


def test_an_error_that_says_nothing_says_so() -> None:
    assert str(bare(grpc.StatusCode.UNKNOWN, "")) == "The server gave no reason. (UNKNOWN)"


def test_an_error_that_is_no_call_is_told_by_its_text() -> None:
    assert isinstance(errors.from_rpc_error(grpc.RpcError("odd")), errors.UnknownError)
