"""Failures of one batch, raised with the alert that explains them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tocsin.alert.engine.dependencies import Root, is_out_of_reach, root_for
from tocsin.alert.engine.heartbeats import offline_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tocsin.alert.domain.alert import Alert
    from tocsin.alert.domain.observation import Caller, Failure
    from tocsin.alert.domain.outcome import RaiseOutcome
    from tocsin.alert.engine.transitions import Decision
    from tocsin.alert.ledger.batch import Batch


def raise_explained(batch: Batch, failure: Failure, caller: Caller) -> Decision[RaiseOutcome]:
    """Decide on a failure of a host's backups: a new alert names the one that explains it.

    A report or schedule that names no repository is about that of its source group.
    """
    failure = _with_repository(batch, failure)
    root = None
    if batch.book.standing(failure.key) is None:
        repository_id = failure.subject.repository_id
        root = root_for(failure, _offline(batch, failure), _of_repository(batch, repository_id))
    decision = batch.book.raise_or_touch(failure, caller, root)
    if decision.alert is not None:
        repository_id = decision.alert.subject.repository_id
        batch.rows.roots.setdefault(repository_id, set()).add(decision.alert.alert_id)
    return decision


def _with_repository(batch: Batch, failure: Failure) -> Failure:
    subject = failure.subject
    stored = batch.rows.groups.get(subject.source_group_id)
    if subject.repository_id or stored is None:
        return failure
    repository_id = stored.group.spec.repository_id
    return failure._replace(subject=replace(subject, repository_id=repository_id))


def _offline(batch: Batch, failure: Failure) -> Root | None:
    alert = batch.book.standing(offline_key(failure.key.host_id))
    return None if alert is None else _root(alert)


def _of_repository(batch: Batch, repository_id: str) -> Iterator[Root]:
    for alert_id in batch.rows.roots.get(repository_id, ()):
        alert = batch.book.find(alert_id)
        if alert is not None and alert.suppressed_by is None and is_out_of_reach(alert):
            yield _root(alert)


def _root(alert: Alert) -> Root:
    return Root(alert.alert_id, alert.key, alert.subject.repository_id, alert.raise_time)
