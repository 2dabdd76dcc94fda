"""The decisions of one batch: commands folded, in order, into what their keys become.

Pure: everything was read before under the keys' locks, and everything is written after. Several
commands on one key see each other here, and leave one row to write.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tocsin.alert.engine import people
from tocsin.alert.engine.stale_schedules import STALE_SCHEDULE
from tocsin.alert.ledger import backup_fold, watches
from tocsin.alert.ledger.commands import (
    ALERT_COMMANDS,
    Acknowledge,
    Answer,
    AutoResolve,
    ChangeAnswer,
    ClearAnswer,
    Lapse,
    RaiseAnswer,
    RaiseOrTouch,
    Resolve,
    request_of,
)
from tocsin.alert.ledger.remembered import Remembered

if TYPE_CHECKING:
    from tocsin.alert.domain.key import Key
    from tocsin.alert.ledger.alert_book import AlertBook
    from tocsin.alert.ledger.batch import Batch
    from tocsin.alert.ledger.commands import AlertAnswer, AlertCommand, Command, RequestRef


@dataclass(slots=True)
class Fold:
    """Applies commands to what was read, and knows what is to be written.

    That is what `batch` keeps, and those `remembered` answers that are new. `read_answers` are
    those of the commands' requests that were remembered before.
    """

    batch: Batch
    read_answers: dict[str, Remembered]
    remembered: dict[str, Remembered] = field(default_factory=dict)

    @property
    def book(self) -> AlertBook:
        return self.batch.book

    def apply(self, command: Command) -> Answer:
        """Decide on one command. Raises TocsinError, and then nothing of it is to be written."""
        if type(command) is RaiseOrTouch and command.request is None:  # as most of a batch are
            return self._raise_or_touch(command)
        if isinstance(command, ALERT_COMMANDS):
            return self._answer(command)
        return backup_fold.apply(self.batch, command)

    def _answer(self, command: AlertCommand) -> AlertAnswer:
        request = request_of(command)
        if request is None:
            return self._decide(command)
        first = self.remembered.get(request.request_id)
        if first is None:
            first = self.read_answers.get(request.request_id)
        if first is not None:
            return first.answer_to(command, request)
        answer = self._decide(command)
        self._remember(command, request, answer)
        return answer

    def _decide(self, command: AlertCommand) -> AlertAnswer:
        match command:
            case RaiseOrTouch():
                return self._raise_or_touch(command)
            case AutoResolve():
                cleared = self.book.clear(command.success, command.caller)
                self._begin_anew(command.success.key, bool(cleared.changes))
                return ClearAnswer(cleared.alert, cleared.outcome)
            case _:
                return self._change(command)

    def _raise_or_touch(self, command: RaiseOrTouch) -> RaiseAnswer:
        raised = self.batch.book.raise_or_touch(command.failure, command.caller)
        return RaiseAnswer(raised.alert, raised.outcome)

    def _change(self, command: Acknowledge | Resolve | Lapse) -> ChangeAnswer:
        alert = self.book.alert(command.alert_id)
        state = self.book.state(alert.key)
        host_name = self.book.host_name(alert.key.host_id)
        now = self.book.now
        match command:
            case Acknowledge():
                act = people.Act(command.caller, now, command.note, host_name)
                decision = people.acknowledge(state, alert, act, command.expire_time)
            case Resolve():
                act = people.Act(command.caller, now, command.note, host_name)
                decision = people.resolve(state, alert, act)
            case Lapse():
                decision = people.lapse(state, alert, now, host_name)
        self.book.keep(alert.key, decision)
        self._begin_anew(alert.key, decision.outcome and isinstance(command, Resolve))
        return ChangeAnswer(decision.alert or alert, decision.outcome)

    def _begin_anew(self, key: Key, is_resolved: bool) -> None:
        """Wait for the next run of a schedule whose alert was resolved by other than a run."""
        if is_resolved and key.kind == STALE_SCHEDULE:
            watches.begin_anew(self.batch, key)

    def _remember(self, command: AlertCommand, request: RequestRef, answer: AlertAnswer) -> None:
        self.remembered[request.request_id] = Remembered(
            type(command).__name__, request.fingerprint, answer
        )
