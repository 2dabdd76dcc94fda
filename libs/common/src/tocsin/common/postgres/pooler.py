"""What is different through a pooler in transaction mode, such as PgBouncer.

There each transaction, and each statement outside of one, may run in another session of the server.
So nothing is left behind in a session that a later statement would need or stumble over: prepared
statements have no names, or one that nobody else takes; nothing is set when connecting that the
pooler does not keep for its clients; and whoever needs a session (LISTEN, session locks,
migrations) takes a direct connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import asyncpg
    from sqlalchemy.ext.asyncio import AsyncEngine

# PgBouncer itself keeps these two for each of its clients.
_KEPT = {"timezone": "UTC"}
_OF_A_SESSION = {
    # Statements outside of our transactions are counted on to see what was committed before them.
    "default_transaction_isolation": "read committed",
    # A client that is gone without a word, and its locks with it, is noticed within 30 s, also when
    # an answer is on its way to it.
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "25000",
    "idle_in_transaction_session_timeout": "30000",
    # A plan kept from when a table was small scans all of it once it is not. (A statement without
    # a name is planned anew each time.)
    "plan_cache_mode": "force_custom_plan",
}


def session_options(application_name: str, *, pooled: bool) -> dict[str, Any]:
    """Return the arguments of `asyncpg.connect` that set up a session."""
    kept = {"application_name": application_name, **_KEPT}
    if pooled:
        return {"server_settings": kept, "statement_cache_size": 0}
    return {"server_settings": {**kept, **_OF_A_SESSION}}


def unique_name(prefix: str) -> str:
    """Return a name for a statement or cursor that must have one, for a part of a transaction.

    asyncpg counts them per process, and another process may have used the same session before.
    """
    return f"tocsin_{prefix}_{uuid4().hex}"


def pooled_creator(
    connect: Callable[[], Awaitable[asyncpg.Connection]], engine: Callable[[], AsyncEngine]
) -> Callable[[], Any]:
    """Return what makes SQLAlchemy's connections, so that it gives no statement a name."""

    def create() -> Any:
        dbapi: Any = engine().dialect.dbapi
        return dbapi.connect(
            async_creator_fn=connect,
            prepared_statement_cache_size=0,
            prepared_statement_name_func=str,
        )

    return create
