"""The write path: commands are queued here, written by lanes, and answered once durable."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from time import perf_counter
from typing import TYPE_CHECKING, overload

from tocsin.alert.ledger.call import Call, Entry
from tocsin.alert.ledger.command_queue import CommandQueue
from tocsin.alert.ledger.first_try import FirstTry
from tocsin.alert.ledger.floods import MOST_OPEN, Floods
from tocsin.alert.ledger.gathering import Gathering
from tocsin.alert.ledger.lanes import Lanes
from tocsin.alert.ledger.observing import Nobody
from tocsin.alert.ledger.patience import Patience
from tocsin.alert.ledger.transaction import Parts
from tocsin.alert.ledger.writer import Writer
from tocsin.common.errors import ResourceExhaustedError, TocsinError, UnavailableError
from tocsin.common.postgres.failures import unavailable
from tocsin.common.postgres.ids import uuid7
from tocsin.common.postgres.patience import ANSWER_WITHIN

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tocsin.alert.domain.event import Event
    from tocsin.alert.domain.host import Host
    from tocsin.alert.domain.schedule import Schedule
    from tocsin.alert.domain.source_group import SourceGroup
    from tocsin.alert.eventlog.log import Appended
    from tocsin.alert.ledger.backup_commands import (
        CallOffline,
        DeadlineAnswer,
        FinishJob,
        Hear,
        HearAnswer,
        JobFinishAnswer,
        JobStartAnswer,
        MissRun,
        PutAnswer,
        PutHost,
        PutSchedule,
        PutSourceGroup,
        RetireAnswer,
        RetireHost,
        RetireSchedule,
        RetireSourceGroup,
        Rise,
        StartJob,
        Unsuppress,
    )
    from tocsin.alert.ledger.commands import (
        Acknowledge,
        Answer,
        AutoResolve,
        ChangeAnswer,
        ClearAnswer,
        Command,
        Lapse,
        RaiseAnswer,
        RaiseOrTouch,
        Resolve,
        Result,
    )
    from tocsin.alert.ledger.observing import LaneObserver
    from tocsin.common.clock import Clock
    from tocsin.common.ids import NewId
    from tocsin.common.postgres.engine import Database


# Less than a caller waits for an answer: what is taken on is to be answered.
LONGEST_WAIT = timedelta(milliseconds=500)


class Ledger:
    """The one write path of alerts.

    The lanes that write are no children of a call. A call that is cancelled, or not answered in
    time, leaves its commands to be written whole, or never to start: a command whose caller has
    gone before its batch begins is dropped. Commands that concern a host are applied in the order
    of their submission.
    """

    def __init__(
        self,
        database: Database,
        *,
        encode_event: Callable[[Event], bytes],
        on_commit: Callable[[Appended], None],
        clock: Clock,
        new_id: NewId = uuid7,
        max_batch: int = 500,
        max_queue: int = 10_000,
        open_alerts_per_host: int = MOST_OPEN,
        answer_within: timedelta = ANSWER_WITHIN,
        longest_wait: timedelta = LONGEST_WAIT,
        gathering: Gathering | None = None,
        observer: LaneObserver = Nobody(),  # noqa: B008 - it keeps nothing
        monotonic: Callable[[], float] = perf_counter,
    ) -> None:
        """`on_commit` is told of each commit that appended events; it must not block.

        `max_batch` bounds the commands of one transaction, `max_queue` those that wait, and
        `longest_wait` for how long. About `open_alerts_per_host` alerts of a host may be open:
        beyond, one stands for the rest. `gathering` lets batches wait, `observer` hears of each.
        """
        self.floods = Floods(open_alerts_per_host)
        self._longest_wait = longest_wait.total_seconds()
        self._now = monotonic
        parts = Parts(clock, new_id, encode_event, self.floods)
        first_try = FirstTry(parts)
        writers = (
            Writer(database, parts, first_try, on_commit),
            Writer(database, parts, first_try, on_commit),
        )
        self._patience = Patience(answer_within.total_seconds())
        self._queue = CommandQueue(
            gathering or Gathering(), max_batch=max_batch, max_length=max_queue
        )
        self._lanes = Lanes(self._queue, writers, observer, monotonic)
        self._lane: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to write what is submitted, unless it is so already."""
        if self._lane is None or self._lane.done():
            self._queue.open()
            self._lane = asyncio.create_task(self._lanes.run(), name="ledger")

    @property
    def is_running(self) -> bool:
        """Whether the lanes are at work, and commands are taken on."""
        return self._lane is not None and not self._lane.done() and not self._queue.is_closed

    @property
    def waiting(self) -> int:
        """How many commands wait to be written."""
        return len(self._queue)

    def require_room(self) -> None:
        """Refuse a call at once that would wait in vain.

        Raises UnavailableError (DRAINING) once `stop` was called, and ResourceExhaustedError
        (OVERLOADED) when the queue is full, or when those before it wait for longer than
        `longest_wait` although the lanes get on. If it does not, it waits for the database, and
        they will be told so.
        """
        if self._queue.is_closed:
            raise UnavailableError("This server is stopping. Try again.", reason="DRAINING")
        if self._queue.is_full or self._is_late():
            raise _overloaded()

    def _is_late(self) -> bool:
        if not self._queue:
            return False
        now = self._now()
        waited, at_work = now - self._queue.oldest.call.began, now - self._lanes.began
        return waited > self._longest_wait > at_work

    async def stop(self) -> None:
        """Refuse new commands, finish those that wait, and end.

        If this is cancelled, the batch at work is broken off, written whole or not at all, and it
        and the commands that wait are answered with UnavailableError.
        """
        self._queue.close()
        if self._lane is not None:
            await self._lane

    @overload
    async def submit(self, command: RaiseOrTouch) -> RaiseAnswer: ...
    @overload
    async def submit(self, command: AutoResolve) -> ClearAnswer: ...
    @overload
    async def submit(self, command: Acknowledge | Resolve | Lapse) -> ChangeAnswer: ...
    @overload
    async def submit(self, command: StartJob) -> JobStartAnswer: ...
    @overload
    async def submit(self, command: FinishJob) -> JobFinishAnswer: ...
    @overload
    async def submit(self, command: Hear) -> HearAnswer: ...
    @overload
    async def submit(self, command: PutHost) -> PutAnswer[Host]: ...
    @overload
    async def submit(self, command: PutSourceGroup) -> PutAnswer[SourceGroup]: ...
    @overload
    async def submit(self, command: PutSchedule) -> PutAnswer[Schedule]: ...
    @overload
    async def submit(self, command: RetireHost) -> RetireAnswer[Host]: ...
    @overload
    async def submit(self, command: RetireSourceGroup) -> RetireAnswer[SourceGroup]: ...
    @overload
    async def submit(self, command: RetireSchedule) -> RetireAnswer[Schedule]: ...
    @overload
    async def submit(
        self, command: MissRun | CallOffline | Rise | Unsuppress
    ) -> DeadlineAnswer: ...
    async def submit(self, command: Command) -> Answer:
        """Write one command and return its answer, once it is durable.

        Raises what the command is refused with; InvalidArgumentError (REQUEST_ID_REUSED);
        UnavailableError (DATABASE_UNAVAILABLE) when the database does not answer or the outcome
        is not known in time, when a retry with the same request_id is safe; UnavailableError
        (DRAINING) once `stop` was called; ResourceExhaustedError (OVERLOADED: see `require_room`;
        STORAGE_FULL); and for a bug TocsinError (INTERNAL) with the id of its log entry.
        """
        (result,) = await self.submit_many((command,))
        if isinstance(result, TocsinError):
            raise result
        return result

    async def submit_many(self, commands: Sequence[Command]) -> list[Result]:
        """Write several commands and return, in their order, an answer or an error for each.

        Each stands alone, and its errors are those of `submit`. Raises what `require_room`
        raises, when nothing at all is taken on.
        """
        self.require_room()
        call = Call(len(commands), self._now())
        entries = [Entry(call, place, command) for place, command in enumerate(commands)]
        for left in self._queue.put(entries):
            left.settle(_overloaded())
        self._patience.watch(call)
        return await call.results(otherwise=unavailable)


def _overloaded() -> ResourceExhaustedError:
    return ResourceExhaustedError(
        "More calls are waiting than this server takes on. Nothing was changed; try again later.",
        reason="OVERLOADED",
        retry_after=timedelta(seconds=1),
    )
