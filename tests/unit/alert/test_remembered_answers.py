from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.observed import ANN, ORCHESTRATOR, at, failure
from tocsin.alert.domain.alert import Acknowledgement, Alert, Resolution, ResolveReason, Severity
from tocsin.alert.domain.key import Key
from tocsin.alert.domain.outcome import ClearOutcome, RaiseOutcome
from tocsin.alert.ledger.commands import (
    Acknowledge,
    ChangeAnswer,
    ClearAnswer,
    RaiseAnswer,
    RaiseOrTouch,
    RequestRef,
    Resolve,
)
from tocsin.alert.ledger.remembered import Remembered
from tocsin.common.errors import InvalidArgumentError
from tocsin.common.ids import uuid7

times = st.datetimes(timezones=st.just(UTC)) | st.sampled_from(
    [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)]
)
texts = st.text(max_size=20)
counts = st.integers(1, 2**63 - 1)
alerts = st.builds(
    Alert,
    alert_id=st.uuids(),
    key=st.builds(Key, texts, texts, texts),
    host_name=texts,
    severity=st.sampled_from(Severity),
    message=texts,
    cause=texts,
    occurrences=counts,
    raise_time=times,
    last_seen_time=times,
    version=counts,
    labels=st.dictionaries(texts, texts, max_size=3),
    acknowledgement=st.none() | st.builds(Acknowledgement, times, texts, texts, times),
    resolution=st.none() | st.builds(Resolution, times, texts, st.sampled_from(ResolveReason)),
    previous_alert_id=st.none() | st.uuids(),
)
answers = st.one_of(
    st.tuples(
        st.just("RaiseOrTouch"),
        st.builds(RaiseAnswer, st.none() | alerts, st.sampled_from(RaiseOutcome)),
    ),
    st.tuples(
        st.just("AutoResolve"),
        st.builds(ClearAnswer, st.none() | alerts, st.sampled_from(ClearOutcome)),
    ),
    st.tuples(
        st.sampled_from(["Acknowledge", "Resolve"]),
        st.builds(ChangeAnswer, alerts, st.booleans()),
    ),
)

REQUEST = RequestRef("r-1", b"content")
RAISE = RaiseOrTouch(failure(), ORCHESTRATOR, REQUEST)


@given(answers)
def test_an_answer_comes_back_from_its_document_as_it_was(
    answered: tuple[str, RaiseAnswer],
) -> None:
    command, answer = answered
    remembered = Remembered(command, b"fingerprint", answer)

    assert remembered == Remembered.from_document(b"fingerprint", remembered.to_document())


def test_a_repeated_observation_gets_the_first_answer_marked_as_replayed() -> None:
    remembered = Remembered("RaiseOrTouch", b"content", RaiseAnswer(None, RaiseOutcome.STALE))

    assert RaiseAnswer(None, RaiseOutcome.STALE, replayed=True) == remembered.answer_to(
        RAISE, REQUEST
    )


def test_the_same_request_id_with_other_content_is_refused() -> None:
    remembered = Remembered("RaiseOrTouch", b"other", RaiseAnswer(None, RaiseOutcome.STALE))

    with pytest.raises(InvalidArgumentError) as refusal:
        remembered.answer_to(RAISE, REQUEST)

    assert "REQUEST_ID_REUSED" == refusal.value.reason
    assert ["request_id"] == [violation.field for violation in refusal.value.violations]


def test_the_same_request_id_for_another_command_is_refused_whatever_its_fingerprint() -> None:
    alert_id = uuid7()
    resolve = Resolve(alert_id, "", ANN, REQUEST)
    acknowledge = Acknowledge(alert_id, "", at(60), ANN, REQUEST)
    remembered = Remembered("Resolve", b"content", RaiseAnswer(None, RaiseOutcome.STALE))

    remembered.answer_to(resolve, REQUEST)
    with pytest.raises(InvalidArgumentError):
        remembered.answer_to(acknowledge, REQUEST)
