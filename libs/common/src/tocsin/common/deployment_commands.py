"""What the services' commands have in common for whoever deploys them."""

from __future__ import annotations

from typing import Annotated

import typer

from tocsin.common.postgres.revisions import Phase
from tocsin.common.rpc.health_check import health_of

PhaseOption = Annotated[
    Phase | None,
    typer.Option(
        help="before: what the new version needs, while the version before still serves; after: "
        "what only that one used, once none of it runs. Without it: both.",
    ),
]
"""Which migrations of an update to apply."""


def tell_health(listen: str) -> None:
    """Print the health of the server that listens on an address of this machine.

    Raises SystemExit (1) unless it is SERVING.
    """
    told = health_of(listen)
    typer.echo(told)
    if told != "SERVING":
        raise SystemExit(1)
