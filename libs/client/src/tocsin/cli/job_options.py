"""What the commands that report jobs ask for, and the reports made of it."""

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from tocsin.api.alert.v1.backup_pb2 import JobKind
from tocsin.cli.exits import wrong_usage
from tocsin.cli.names import checked_name
from tocsin.client.backup_fields import JobFields
from tocsin.client.spool import Spool
from tocsin.client.spool_file import default_path

Host = Annotated[
    str,
    typer.Option("--host", envvar="TOCSIN_HOST", metavar="HOST", help="The host it runs on."),
]
Kind = Annotated[
    str, typer.Option("--job", metavar="KIND", help="What it does: backup, forget, prune, check.")
]
SourceGroup = Annotated[
    str,
    typer.Option("--source-group", "-g", metavar="GROUP", help="What is backed up; for backup."),
]
Repository = Annotated[
    str, typer.Option("--repository", metavar="REPOSITORY", help="The repository it works on.")
]
Schedule = Annotated[
    str, typer.Option("--schedule", metavar="SCHEDULE", help="The schedule it runs by.")
]
SpoolFile = Annotated[
    str,
    typer.Option(
        "--spool",
        envvar="TOCSIN_SPOOL",
        metavar="FILE",
        help="Keeps reports until the service has them.",
        show_default="/var/lib/tocsin/spool.db for root, ~/.local/state/tocsin/spool.db else",
    ),
]


@dataclass(frozen=True)
class JobGiven:
    """Which job a command line speaks of. Raises CommandError for what cannot be."""

    host: str
    kind: str
    source_group: str
    repository: str
    schedule: str

    @classmethod
    def read(
        cls, host: str, kind: str, source_group: str, repository: str, schedule: str
    ) -> "JobGiven":
        kind = checked_name("--job", JobKind, kind)
        if source_group and kind != "backup":
            raise wrong_usage(f"--source-group is for backups; a {kind} takes --repository")
        return cls(host, kind, source_group, repository, schedule)

    def fields(self, start_time: datetime | None = None) -> JobFields:
        """Return it as the requests take it."""
        return {
            "start_time": start_time,
            "source_group_id": self.source_group,
            "repository_id": self.repository,
            "schedule_id": self.schedule,
        }


def open_spool(given: str) -> Spool:
    """Return the spool that a command line names. The file is opened when it is first used."""
    return Spool(Path(given) if given else default_path(os.environ))
