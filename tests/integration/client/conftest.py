"""What tests of the client ask: a server with prepared answers, or both services themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.client_calls import CLIENTS, Caller
from support.command import Command, running_stack
from support.scripted_answers import ScriptedAnswers, answering

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.postgres import PostgresServer


@pytest.fixture
def server() -> Iterator[tuple[ScriptedAnswers, str]]:
    with answering() as served:
        yield served


@pytest.fixture
def script(server: tuple[ScriptedAnswers, str]) -> ScriptedAnswers:
    return server[0]


@pytest.fixture(params=list(CLIENTS))
def caller(request: pytest.FixtureRequest, server: tuple[ScriptedAnswers, str]) -> Caller:
    return Caller(request.param, server[1])


@pytest.fixture(scope="module")
def tocsin(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Command]:
    """The command, with services of the module's own to ask."""
    folder = tmp_path_factory.mktemp("stack")
    with running_stack(folder, postgres_server.cluster) as settings:
        yield Command(settings.alert_target, settings.notify_target)
