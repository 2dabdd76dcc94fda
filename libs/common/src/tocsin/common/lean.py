"""Imported by the services' commands before anything else: keeps out what they never use.

structlog loads rich wherever it is installed, for tracebacks in colour that no service prints:
5 MiB and 50 ms of each process. SQLAlchemy loads its ORM with the engine for asyncio, for sessions
that no service opens: 6 MiB and 70 ms.

gRPC's core would write lines of its own to stderr, as of each TLS handshake that fails, which are
no JSON. GRPC_VERBOSITY=INFO brings them back; it is looked at once, when gRPC is loaded.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class _Nothing(ModuleType):
    """Stands for a module while another takes names from it that nobody will use."""

    def __getattr__(self, name: str) -> None:
        if name.startswith("__"):
            raise AttributeError(name)


def _load(name: str, without: Mapping[str, ModuleType | None]) -> None:
    """Load a module that finds others missing (None) or empty; what is loaded stays as it is."""
    if name in sys.modules or without.keys() & sys.modules.keys():
        return
    # None means "there is none": https://docs.python.org/3/reference/import.html#the-module-cache
    sys.modules.update(without)  # type: ignore[arg-type]
    try:
        import_module(name)
    finally:
        for each in without:
            del sys.modules[each]


os.environ.setdefault("GRPC_VERBOSITY", "NONE")
_load("structlog", {"rich": None})
_load(
    "sqlalchemy.ext.asyncio",
    {
        name: _Nothing(name)
        for name in ("sqlalchemy.ext.asyncio.scoping", "sqlalchemy.ext.asyncio.session")
    },
)
