"""Ports on the loopback address: whether one is free, and which one is."""

from __future__ import annotations

import errno
import socket

from tocsin.cli.exits import CommandError, ExitCode

LOOPBACK = "127.0.0.1"


def free_port() -> int:
    """Return a port that nothing listens on just now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def require_free(port: int, *, service: str, option: str) -> None:
    """Raise CommandError that names the port and the option when the port cannot be bound."""
    with socket.socket() as probe:
        # As the services bind: a port whose last connections still linger counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)
        except OSError as error:
            raise CommandError(
                _refusal(port, error, service, option), ExitCode.NOT_STARTED
            ) from None


def _refusal(port: int, error: OSError, service: str, option: str) -> str:
    why = (
        "another program listens there already"
        if error.errno == errno.EADDRINUSE
        else str(error.strerror)
    )
    return (
        f"{service} cannot listen on {LOOPBACK}:{port}: {why}. Nothing was changed.\n"
        f"Stop that program, or choose another port: tocsin up {option} {port + 100}"
    )
