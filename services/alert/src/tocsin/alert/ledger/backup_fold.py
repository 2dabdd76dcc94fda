"""The decisions on commands about backups, each to the module that knows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.alert.ledger import deadlines, puts, reports, retirements
from tocsin.alert.ledger.backup_commands import (
    CallOffline,
    FinishJob,
    Hear,
    MissRun,
    PutHost,
    PutSchedule,
    PutSourceGroup,
    RetireHost,
    RetireSchedule,
    RetireSourceGroup,
    Rise,
    StartJob,
    Unsuppress,
)

if TYPE_CHECKING:
    from tocsin.alert.ledger.backup_commands import (
        BackupAnswer,
        BackupCommand,
        Deadline,
        Put,
        Retirement,
    )
    from tocsin.alert.ledger.batch import Batch


def apply(batch: Batch, command: BackupCommand) -> BackupAnswer:
    """Decide on one command. Raises TocsinError, and then nothing of it is to be written."""
    match command:
        case StartJob():
            return reports.start(batch, command)
        case FinishJob():
            return reports.finish(batch, command)
        case Hear():
            return reports.hear(batch, command)
        case PutHost() | PutSourceGroup() | PutSchedule():
            return _put(batch, command)
        case RetireHost() | RetireSourceGroup() | RetireSchedule():
            return _retire(batch, command)
        case _:
            return _pass(batch, command)


def _put(batch: Batch, command: Put) -> BackupAnswer:
    match command:
        case PutHost():
            return puts.put_host(batch, command)
        case PutSourceGroup():
            return puts.put_source_group(batch, command)
        case PutSchedule():
            return puts.put_schedule(batch, command)


def _retire(batch: Batch, command: Retirement) -> BackupAnswer:
    match command:
        case RetireHost():
            return retirements.retire_host(batch, command)
        case RetireSourceGroup():
            return retirements.retire_source_group(batch, command)
        case RetireSchedule():
            return retirements.retire_schedule(batch, command)


def _pass(batch: Batch, command: Deadline) -> BackupAnswer:
    match command:
        case MissRun():
            return deadlines.miss_run(batch, command)
        case CallOffline():
            return deadlines.call_offline(batch, command)
        case Rise():
            return deadlines.rise(batch, command)
        case Unsuppress():
            return deadlines.unsuppress(batch, command)
