"""`tocsin token`, `grant`, `whoami` and `audit`, and the first token made on the server."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from support.command import Command
from support.processes import ServiceProcess, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.postgres import PostgresServer

pytestmark = pytest.mark.postgres

REFUSED, USAGE = 1, 2
TOKEN = re.compile(r"tocsin_[A-Za-z0-9_-]{43}\n")


def first_token(module: str, environment: dict[str, str]) -> str:
    """Make the first token of a database as an admin does, on the server itself."""
    words = [sys.executable, "-m", module, "token", "create", "--role", "admin", "root"]
    ended = subprocess.run(
        words, env={**os.environ, **environment}, check=True, capture_output=True, text=True
    )
    assert TOKEN.fullmatch(ended.stdout)
    return ended.stdout.strip()


@pytest.fixture(scope="module")
def running(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Command, str]]:
    """The command and an admin's token, for a service that asks for one."""
    name, url = asyncio.run(postgres_server.fresh_database("alert"))
    port = free_port()
    environment = {"TOCSIN_ALERT_DATABASE_URL": url, "TOCSIN_ALERT_LISTEN": f"127.0.0.1:{port}"}
    token = first_token("tocsin.alert", environment)
    service = ServiceProcess(
        "tocsin.alert", environment, port, tmp_path_factory.mktemp("log") / "alert.log"
    )
    service.start()
    try:
        asyncio.run(service.serving())
        yield Command(alert=service.target), token
    finally:
        service.stop()
    asyncio.run(postgres_server.drop_database(name))


@pytest.fixture
def tocsin(running: tuple[Command, str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command, run by the admin."""
    monkeypatch.setenv("TOCSIN_TOKEN", running[1])
    return running[0]


def test_the_admin_of_the_first_token_is_known_by_its_name(tocsin: Command) -> None:
    told = tocsin.done("whoami")

    assert "name   root" in told
    assert "roles  admin" in told


def test_a_token_that_others_may_read_is_told_of(
    running: tuple[Command, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "token"
    path.write_text(running[1])
    path.chmod(0o644)
    monkeypatch.setenv("TOCSIN_ALERT_TOKEN_FILE", str(path))
    told = running[0]("whoami", "--json")
    path.chmod(0o600)
    silent = running[0]("whoami", "--json")

    assert (0, f"Others on this machine may read {path}", "") == (
        told.code,
        told.err[: len(f"Others on this machine may read {path}")],
        silent.err,
    )


def test_without_a_token_the_command_says_which_one_is_wanted(
    tocsin: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TOCSIN_TOKEN")

    ended = tocsin("list")

    assert (REFUSED, "") == (ended.code, ended.out)
    assert "authorization: Bearer <token>" in ended.err
    assert "(UNAUTHENTICATED, CREDENTIAL_MISSING)" in ended.err


def test_a_token_is_made_used_listed_and_revoked(
    tocsin: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = tocsin("token", "create", "agent", "--role", "orchestrator", "--host", "web-1")
    assert (0, True) == (made.code, TOKEN.fullmatch(made.out) is not None)
    assert "shown only now" in made.err
    listed = tocsin.done("token", "list")
    assert re.search(r"agent +token +orchestrator +web-1 +valid +never", listed)
    assert made.out.strip() not in listed

    (tmp_path / "token").touch(0o600)
    (tmp_path / "token").write_text(made.out)
    with monkeypatch.context() as agent:
        agent.delenv("TOCSIN_TOKEN")
        agent.setenv("TOCSIN_TOKEN_FILE", str(tmp_path / "token"))
        tocsin.done("raise", "web-1", "backup_failed")
        other = tocsin("raise", "db-1", "backup_failed")
        assert REFUSED == other.code
        assert "HOST_NOT_ALLOWED" in other.err
        assert "needs the role" in tocsin("list").err

    assert "agent was revoked." in tocsin.done("token", "revoke", "agent")
    assert "agent" not in tocsin.done("token", "list")
    assert "revoked by root" in tocsin.done("token", "list", "--all")
    assert REFUSED == tocsin("token", "revoke", "agent").code


def test_of_two_tokens_with_one_name_the_id_is_asked_for(tocsin: Command) -> None:
    for _ in range(2):
        tocsin("token", "create", "twin", "--role", "subscriber")
    found = tocsin.json("token", "list")["credentials"]
    twins = [each["credential_id"] for each in found if each["name"] == "twin"]

    ended = tocsin("token", "revoke", "twin")

    assert REFUSED == ended.code
    assert all(each in ended.err for each in twins)
    for each in twins:
        tocsin.done("token", "revoke", each)


def test_a_grant_to_a_certificate_is_made_and_revoked(tocsin: Command) -> None:
    name = "spiffe://example.org/agent/web-1"
    granted = tocsin.done("grant", name, "--role", "orchestrator", "--for", "90d")
    assert f"name   {name}" in granted
    again = tocsin("grant", name, "--role", "orchestrator")
    assert (REFUSED, True) == (again.code, "CREDENTIAL_EXISTS" in again.err)
    assert f"{name} was revoked." in tocsin.done("token", "revoke", name)


def test_what_is_wrong_is_told_by_the_names_of_the_options(tocsin: Command) -> None:
    ended = tocsin("token", "create", "a b", "--role", "operator", "--host", "web-1")

    assert USAGE == ended.code
    assert "NAME: 'a b' is no name of a token" in ended.err
    assert "--host: are for the role orchestrator alone" in ended.err


def test_the_trail_tells_who_did_what(tocsin: Command) -> None:
    tocsin("token", "create", "traced", "--role", "operator")

    told = tocsin.done("audit", "--method", "IdentityService/CreateToken", "--since", "1h")
    local = tocsin.done("audit", "--method", "tocsin-alert token create")

    assert re.search(r"root +IdentityService/CreateToken .*name=traced, roles=operator", told)
    assert re.search(r"local:\S+ +tocsin-alert token create .*name=root, roles=admin", local)


def test_a_token_is_sent_to_no_other_machine_in_the_clear(
    tocsin: Command, running: tuple[Command, str]
) -> None:
    ended = Command(alert="alert.example.org:7070")("list")

    assert USAGE == ended.code
    assert "not sent in the clear to alert.example.org:7070" in ended.err
    assert running[1] not in ended.err


async def test_the_first_token_of_the_notify_service_is_made_alike(empty_url: str) -> None:
    environment = {"TOCSIN_NOTIFY_DATABASE_URL": empty_url}

    token = await asyncio.to_thread(first_token, "tocsin.notify", environment)

    assert token.startswith("tocsin_")
