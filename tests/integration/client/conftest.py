"""A server that answers what a test prepared, and a client of each kind to ask it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.client_calls import CLIENTS, Caller
from support.scripted_answers import ScriptedAnswers, answering

if TYPE_CHECKING:
    from collections.abc import Iterator


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
