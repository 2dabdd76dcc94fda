"""Who does what, for the audit trail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tocsin.common.identity.audit import Act
from tocsin.common.rpc.caller import peer_of

if TYPE_CHECKING:
    import grpc

    Context = grpc.aio.ServicerContext[Any, Any]


def act_of(context: Context, method: str) -> Act | None:
    """Return what this call is in the audit trail; None when no person makes it."""
    peer = peer_of(context)
    return Act(peer.actor, method) if peer.is_person else None
