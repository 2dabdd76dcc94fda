"""How long a dead connection to PostgreSQL goes unnoticed, on a network that falls silent.

A program: `unshare --net python -m support.silent_network 17`. The server is in a network of its
own, its clients are in another, and a cable is between the two. It prints, as JSON, after how many
seconds each end found out. It needs root on Linux, and iproute2.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg

from support.postgres import chosen_binaries, running_cluster
from tocsin.common.postgres.connecting import connect, database_url
from tocsin.common.postgres.pooler import session_options

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from tocsin.common.postgres.embedded import Cluster

CLIENT, SERVER, NOBODY = "02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:00:99"
PATIENCE_SECONDS = 90.0
_CLONE_NEWNET = 0x40000000
_LOOK_SECONDS = 0.1
_UNTIL_SILENT_SECONDS = 1.0
_WAIT = "SELECT pg_sleep(3600)"
_ANSWER_IN_THE_SILENCE = "SELECT pg_sleep(2), repeat('x', 1000000)"
# The server listens on the address of its loopback device, which may be reached from outside where
# the system is told so.
_AT_THE_SERVER = """
ip link set lo up
ip link add cable address {server} type veth peer name cable address {client} netns {pid}
ip address add 10.99.0.2/30 dev cable
sysctl -qw net.ipv4.conf.cable.route_localnet=1
ip link set cable up
"""
_AT_THE_CLIENT = """
ip address add 10.99.0.1/30 dev cable
sysctl -qw net.ipv4.conf.cable.route_localnet=1
ip link set cable up
ip route add 127.0.0.1 via 10.99.0.2 src 10.99.0.1
"""
_NEXT_TO_THE_SERVER = "ip neighbour replace 10.99.0.1 lladdr {} dev cable nud permanent"
_NEXT_TO_THE_CLIENT = "ip neighbour replace 10.99.0.2 lladdr {} dev cable nud permanent"


def _do(commands: str) -> None:
    for command in commands.strip().splitlines():
        subprocess.run(command.split(), check=True)


class Cable:
    """The way from this thread, in a network of its own, to the server, in that of the program."""

    def __init__(self, server: ThreadPoolExecutor) -> None:
        self._server = server

    def speaks(self) -> None:
        _do(_NEXT_TO_THE_CLIENT.format(SERVER))
        self._server.submit(_do, _NEXT_TO_THE_SERVER.format(CLIENT)).result()

    def is_silent(self) -> None:
        """Let each end send to a machine that is not there."""
        _do(_NEXT_TO_THE_CLIENT.format(NOBODY))
        self._server.submit(_do, _NEXT_TO_THE_SERVER.format(NOBODY)).result()


@contextmanager
def _another_network() -> Iterator[int]:
    """Make one more network, and keep it; give the id of a process in it."""
    keeper = subprocess.Popen(("unshare", "--net", "cat"), stdin=subprocess.PIPE)
    own = Path("/proc/self/ns/net").readlink()
    try:
        while Path(f"/proc/{keeper.pid}/ns/net").readlink() == own:
            time.sleep(_LOOK_SECONDS)
        yield keeper.pid
    finally:
        keeper.kill()
        keeper.wait()


def _enter_network_of(pid: int) -> None:
    """Let this thread, and what it starts, be in the network of a process."""
    with Path(f"/proc/{pid}/ns/net").open("rb") as network:
        if ctypes.CDLL(None, use_errno=True).setns(network.fileno(), _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")


async def _let_anybody_in(url: str) -> None:
    connection = await asyncpg.connect(url)
    with Path(await connection.fetchval("SHOW hba_file")).open("a") as rules:
        rules.write("host all all 10.99.0.1/32 scram-sha-256\n")
    await connection.execute("SELECT pg_reload_conf()")
    await connection.close()


async def seconds_to_notice(url: str, cable: Cable) -> dict[str, float]:
    """Let the network fall silent under connections that rest, wait, and send."""
    options = session_options("silent", pooled=False)
    resting, waiting, answered, sending = [
        await connect(database_url(url), **options) for _ in range(4)
    ]
    ends = {
        "client at rest": _once(resting.is_closed),
        "client that waits": _failed(waiting, _WAIT),
        "client that sends": _after_a_moment(_failed(sending, "SELECT 1")),
        "server at rest": _once(_has_ended(resting)),
        "server that answers": _once(_has_ended(answered)),
    }
    answering = asyncio.ensure_future(_failed(answered, _ANSWER_IN_THE_SILENCE))
    noticing = {name: asyncio.ensure_future(_timed(end)) for name, end in ends.items()}
    await asyncio.sleep(_LOOK_SECONDS)  # the statements are on their way
    cable.is_silent()
    try:
        await asyncio.gather(answering, *noticing.values())
    finally:
        cable.speaks()
    return {name: task.result() for name, task in noticing.items()}


def _has_ended(connection: asyncpg.Connection) -> Callable[[], bool]:
    process = Path(f"/proc/{connection.get_server_pid()}")
    return lambda: not process.exists()


async def _once(holds: Callable[[], bool]) -> None:
    while not holds():  # noqa: ASYNC110 - nobody tells of it
        await asyncio.sleep(_LOOK_SECONDS)


async def _failed(connection: asyncpg.Connection, statement: str) -> None:
    with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        await connection.fetch(statement)
        raise AssertionError(f"{statement} was answered through silence")


async def _after_a_moment(end: Awaitable[None]) -> None:
    await asyncio.sleep(_UNTIL_SILENT_SECONDS)
    await end


async def _timed(end: Awaitable[None]) -> float:
    """Return after how many seconds it came; infinitely many when it did not."""
    began = time.monotonic()
    try:
        await asyncio.wait_for(end, PATIENCE_SECONDS)
    except TimeoutError:
        return float("inf")
    return round(time.monotonic() - began, 1)


def _seen_by_clients(pid: int, url: str, server: ThreadPoolExecutor) -> dict[str, float]:
    _enter_network_of(pid)
    _do(_AT_THE_CLIENT)
    cable = Cable(server)
    cable.speaks()
    return asyncio.run(seconds_to_notice(url, cable))


def _run(cluster: Cluster) -> dict[str, float]:
    asyncio.run(_let_anybody_in(cluster.url()))
    with (
        _another_network() as pid,
        ThreadPoolExecutor(1) as server,
        ThreadPoolExecutor(1) as clients,
    ):
        _do(_AT_THE_SERVER.format(client=CLIENT, server=SERVER, pid=pid))
        return clients.submit(_seen_by_clients, pid, cluster.url(), server).result()


if __name__ == "__main__":
    _do("ip link set lo up")
    with running_cluster(chosen_binaries(sys.argv[1])[0]) as running:
        print(json.dumps(_run(running)))  # noqa: T201 - its answer
