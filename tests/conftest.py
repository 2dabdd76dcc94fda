"""What all tests share: PostgreSQL, and a clock that stands still.

--postgres=default   the first version found, as the services choose it
--postgres=second    the next version that this machine has
--postgres=all       each version found, one after the other
--postgres=wheel     the one from the Python wheel
--postgres=17        that major version

Fault tests roll dice and tell what they saw:

--seed=N             repeats the run that had this seed
--whole              goes on until all of it is done, where a test would end when its time is over
--figures=FILE       adds what they saw to this file, a JSON object a line
"""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from support.clock import ManualClock
from support.figures import Figures
from support.postgres import NewDatabase, PostgresServer, chosen_binaries, running_cluster
from tocsin.common.postgres.embedded import Binaries, Cluster, PostgresMissingError
from tocsin.common.postgres.engine import Database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

# How long an example takes says nothing on a machine that does other things too.
settings.register_profile("tocsin", deadline=None)
settings.load_profile("tocsin")


# Whoever is started in the background of a script ignores SIGINT, and so would every program that
# the tests start and then interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# gRPC's handlers around fork(2) crash the children of a process in which its threads are at work,
# and the tests start servers from such a process. Read when gRPC is first used.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--postgres",
        default="default",
        help="PostgreSQL to test on: default, second, all, wheel, or a major version",
    )
    parser.addoption(
        "--seed", type=int, default=None, help="repeat the run that had this seed (fault tests)"
    )
    parser.addoption(
        "--whole", action="store_true", help="do all of a fault test, however long that takes"
    )
    parser.addoption(
        "--figures", type=Path, default=None, help="add what the fault tests saw to this file"
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "postgres_binaries" not in metafunc.fixturenames:
        return
    try:
        binaries = chosen_binaries(metafunc.config.getoption("postgres"))
    except PostgresMissingError as error:
        raise pytest.UsageError(str(error)) from None
    metafunc.parametrize(
        "postgres_binaries",
        binaries,
        ids=[f"postgres{each.major}" for each in binaries],
        scope="session",
        indirect=True,
    )


def pytest_itemcollected(item: pytest.Item) -> None:
    # Marked by what it uses, so that none is forgotten on the second version.
    if "postgres_binaries" in getattr(item, "fixturenames", ()):
        item.add_marker("postgres")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """What a test's dice begin with. Shown with the test if it fails."""
    given: int | None = request.config.getoption("seed")
    rolled = random.SystemRandom().getrandbits(32) if given is None else given
    print(f"Repeat with --seed {rolled}")  # noqa: T201
    return rolled


@pytest.fixture
def whole(request: pytest.FixtureRequest) -> bool:
    """Whether a fault test does all that it has to do, however long that takes."""
    return bool(request.config.getoption("whole"))


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Figures:
    """Where a fault test records what it saw."""
    file: Path | None = request.config.getoption("figures")
    return Figures(request.node.nodeid, file and file.absolute())


@pytest.fixture(scope="session")
def postgres_binaries(request: pytest.FixtureRequest) -> Binaries:
    """The server programs of the version under test."""
    binaries: Binaries = request.param
    return binaries


@pytest.fixture(scope="session")
def postgres_server(
    postgres_binaries: Binaries,
) -> Iterator[PostgresServer]:
    """The server that the tests share. A test that harms its server takes `own_cluster`."""
    with running_cluster(postgres_binaries) as cluster:
        yield PostgresServer(cluster)


@pytest.fixture
def own_cluster(postgres_binaries: Binaries) -> Iterator[Cluster]:
    """A running server that belongs to one test, which may stop or kill it."""
    with running_cluster(postgres_binaries) as cluster:
        yield cluster


@pytest.fixture
async def new_database(postgres_server: PostgresServer) -> AsyncIterator[NewDatabase]:
    """Makes fresh databases, dropped after the test with all sessions on them."""
    names: list[str] = []

    async def make(schema: str = "empty") -> str:
        name, url = await postgres_server.fresh_database(schema)
        names.append(name)
        return url

    yield make
    for name in names:
        await postgres_server.drop_database(name)


@pytest.fixture
async def empty_url(new_database: NewDatabase) -> str:
    return await new_database("empty")


@pytest.fixture
async def alert_url(new_database: NewDatabase) -> str:
    return await new_database("alert")


@pytest.fixture
async def notify_url(new_database: NewDatabase) -> str:
    return await new_database("notify")


@pytest.fixture
async def alert_database(alert_url: str) -> AsyncIterator[Database]:
    database = Database(alert_url, application_name="tests")
    yield database
    await database.close()


@pytest.fixture
async def notify_database(notify_url: str) -> AsyncIterator[Database]:
    database = Database(notify_url, application_name="tests")
    yield database
    await database.close()
