"""The command that makes the first token, as far as it needs no database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import typer
from typer.testing import CliRunner

from tocsin.common.identity.local_commands import token_commands

if TYPE_CHECKING:
    from tocsin.common.postgres.access import DatabaseAccess


def no_settings() -> DatabaseAccess:
    raise AssertionError("nothing is asked of the database")


@pytest.mark.parametrize("days", ["1e10", "36501", "inf", "-1"])
def test_a_time_that_no_calendar_has_is_refused_in_a_line(days: str) -> None:
    cli = typer.Typer()
    cli.add_typer(token_commands("tocsin-alert", Path(), no_settings), name="token")

    told = CliRunner().invoke(
        cli, ["token", "create", "ann", "--role", "admin", "--days", days], prog_name="tocsin-alert"
    )

    assert 2 == told.exit_code
    assert "--days" in told.output
