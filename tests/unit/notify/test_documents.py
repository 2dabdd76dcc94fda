"""A notification survives being kept as a document."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from support.notifications import ALERT, a_notification
from tocsin.notify.domain.notification import (
    AlertStatus,
    AlertView,
    EventType,
    ResolveReason,
    Severity,
)
from tocsin.notify.store.documents import from_document, to_document

times = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
texts = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]))

alerts = st.builds(
    replace,
    st.just(ALERT),
    alert_id=st.uuids(),
    message=texts,
    labels=st.dictionaries(texts, texts),
    severity=st.sampled_from(Severity),
    status=st.sampled_from(AlertStatus),
    raise_time=times,
    acknowledge_time=st.none() | times,
    acknowledge_expire_time=st.none() | times,
    resolve_time=st.none() | times,
    resolve_reason=st.none() | st.sampled_from(ResolveReason),
    version=st.integers(1, 2**63 - 1),
    previous_alert_id=st.none() | st.uuids(),
)


@given(
    type=st.sampled_from(EventType),
    alert=alerts,
    note=texts,
    occurred=times,
    synthetic=st.booleans(),
)
def test_a_notification_is_the_same_after_it_was_kept(
    type: EventType,  # noqa: A002
    alert: AlertView,
    note: str,
    occurred: datetime,
    synthetic: bool,
) -> None:
    notification = a_notification(
        type,
        alert=alert,
        note=note,
        occur_time=occurred,
        synthetic=synthetic,
        event_id=UUID(int=7),
    )

    kept = json.dumps(to_document(notification), ensure_ascii=False)

    assert notification == from_document(json.loads(kept))
