"""The programs in docs/client.md and docs/recipes.md, run as they stand."""

from __future__ import annotations

import asyncio
import shlex
import textwrap
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from support.alert import RunningAlert, running_alert
from support.grpcurl import documents, parse
from support.identity import Credentials
from support.pages import blocks
from support.pems import Pems
from support.repository import ROOT
from tocsin.common.identity.roles import Role

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tocsin.api.alert.v1.alert_pb2 import Alert
    from tocsin.api.alert.v1.event_pb2 import AlertEvent

pytestmark = pytest.mark.postgres

CLIENT, RECIPES, CALLS = (
    (ROOT / "docs" / f"{name}.md").read_text() for name in ("client", "recipes", "calls")
)
OF_PAGE = "127.0.0.1:7070"


def program_with(words: str, page: str = CLIENT) -> str:
    (found,) = [each.text for each in blocks(page, "python") if words in each.text]
    return found


async def runs(program: str, **names: Any) -> dict[str, Any]:
    """Run a program beside the service of this process, and return the names that it leaves."""
    await asyncio.to_thread(exec, program, names)
    return names


@pytest.fixture
async def alert(alert_url: str) -> AsyncIterator[RunningAlert]:
    async with running_alert(alert_url) as running:
        yield running


def test_there_are_no_programs_but_those() -> None:
    assert 5 == len(blocks(CLIENT, "python"))
    assert 1 == len(blocks(RECIPES, "python"))


async def test_a_failure_and_a_success_are_reported(alert: RunningAlert) -> None:
    await runs(program_with("auto_resolve").replace(OF_PAGE, alert.target))


async def test_jobs_are_reported_and_protection_is_asked_for(
    alert: RunningAlert, capsys: pytest.CaptureFixture[str]
) -> None:
    program = program_with("put_schedule").replace(OF_PAGE, alert.target)
    await runs(program, stderr="repository is already locked")
    assert capsys.readouterr().out.startswith("home ")


async def test_a_client_is_made_that_tries_for_longer(alert: RunningAlert) -> None:
    await runs(program_with("RetryPolicy").replace(OF_PAGE, alert.target))


async def test_a_run_of_restic_is_reported_through_the_spool(
    alert: RunningAlert, tmp_path: Path
) -> None:
    program = program_with("Spool", RECIPES).replace(OF_PAGE, alert.target)
    names: dict[str, Any] = {"stdout": "", "stderr": "Fatal: wrong password or no key found"}
    await runs(program, **names, exit_code=1, path=tmp_path / "spool.db")


async def test_a_token_and_an_authority_are_given_in_python_and_by_grpcurl(
    alert_url: str, tmp_path: Path
) -> None:
    token = await Credentials(alert_url).token(Role.ORCHESTRATOR, Role.OPERATOR, name="ann")
    pems = Pems(tmp_path)
    (tmp_path / "token").write_text(token)
    async with running_alert(
        alert_url, credentials=pems.client(), insecure_dev=False, **pems.server()
    ) as alert:
        program = program_with("ClientCredentials")
        for of_page, here in {
            "alert.example.org:7070": alert.target,
            "/run/secrets/tocsin": f"{tmp_path}/token",
            "/etc/tocsin/ca.pem": str(pems.ca),
        }.items():
            program = program.replace(of_page, here)
        await runs(program)
        assert {"actor": "ann"}.items() <= (await answer_to_ann(alert.target, pems, token)).items()


async def answer_to_ann(target: str, pems: Pems, token: str) -> dict[str, Any]:
    """Run the line of docs/calls.md that shows a token."""
    (line,) = [
        each.line for block in blocks(CALLS, "") for each in block.typed if "-H" in each.line
    ]
    for of_page, here in {
        "ca.pem": shlex.quote(str(pems.ca)),
        "$TOCSIN_TOKEN": token,
        "localhost:7070": target,
    }.items():
        line = line.replace(of_page, here)
    called = await asyncio.create_subprocess_exec(
        *parse(line).command(), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await called.communicate()
    assert called.returncode == 0, err.decode()
    told: dict[str, Any] = documents(out.decode())[0]
    return told


class Subscriber:
    """What docs/client.md leaves to the reader: a database, kept in memory."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.known: dict[str, Alert] = {}
        self.stored = asyncio.Event()

    async def load(self) -> tuple[None, tuple[()]]:
        return None, ()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        yield

    async def take_in(self, event: AlertEvent) -> None:
        self.taken.append(event.alert.host_id)

    async def keep_known(self, alert: Alert) -> None:
        self.known[alert.alert_id] = alert

    async def store(self, position: object) -> None:
        assert position is not None
        self.stored.set()


async def test_events_are_followed_from_what_is_open(alert: RunningAlert) -> None:
    mine = Subscriber()
    names: dict[str, Any] = {
        "load": mine.load,
        "database": mine,
        "take_in": mine.take_in,
        "keep_known": mine.keep_known,
        "store": mine.store,
    }
    program = program_with("subscribe(").replace(OF_PAGE, alert.target)
    exec(f"async def follows():\n{textwrap.indent(program, '    ')}", names)
    following = asyncio.create_task(names["follows"]())
    try:
        async with asyncio.timeout(30):
            await mine.stored.wait()
            while not mine.taken:
                mine.stored.clear()
                await runs(
                    "from tocsin.client import SyncAlertClient\n"
                    f"with SyncAlertClient({alert.target!r}) as alerts:\n"
                    "    alerts.raise_or_touch('web-1', 'backup_failed', 'home')\n"
                )
                await mine.stored.wait()
    finally:
        following.cancel()
        await asyncio.wait({following})
    assert {"web-1"} == {*mine.taken}
    assert mine.known
