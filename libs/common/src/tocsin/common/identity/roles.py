"""Who may call what: roles, and the rule of each method. What has no rule is for nobody."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from tocsin.common.errors import PermissionDeniedError
from tocsin.common.rpc.validate import shown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tocsin.common.rpc.caller import Peer


class Role(StrEnum):
    """What a caller is for. One may have several."""

    ORCHESTRATOR = "orchestrator"
    SUBSCRIBER = "subscriber"
    OPERATOR = "operator"
    ADMIN = "admin"


PEOPLE = frozenset({Role.OPERATOR, Role.ADMIN})
"""The roles that people have: what they change is written into the audit trail."""

EVERYBODY = frozenset(Role)


@dataclass(frozen=True, slots=True)
class Rule:
    """Who may call one method.

    `roles`: one of them is enough; nobody in particular when it is empty. `names_hosts`: each
    request names the hosts that it is about, and the method checks them (`require_host`); a
    caller that is bound to hosts may call no other methods.
    """

    roles: frozenset[Role]
    names_hosts: bool = False


ANYBODY = Rule(frozenset(), names_hosts=True)
"""For callers that prove nothing at all."""


def only(*roles: Role, names_hosts: bool = False) -> Rule:
    """Return the rule for these roles. An admin may call whatever anyone may."""
    return Rule(frozenset({*roles, Role.ADMIN}), names_hosts=names_hosts)


def has_right(rule: Rule, peer: Peer) -> bool:
    """Whether a rule is for a peer by its roles, and by what it is bound to."""
    return not rule.roles.isdisjoint(peer.roles) and (rule.names_hosts or not peer.host_ids)


def require_right(rule: Rule, method: str, peer: Peer) -> None:
    """Raise PermissionDeniedError (ROLE_MISSING, HOST_NOT_ALLOWED) unless a rule is for a peer."""
    if rule.roles.isdisjoint(peer.roles):
        raise _role_missing(rule, method, peer)
    if peer.host_ids and not rule.names_hosts:
        raise PermissionDeniedError(
            f"{_short(method)} is not about single hosts, and {peer.actor!r} may speak of "
            f"{_listed(peer.host_ids)} only. Call it with a token that is bound to no host.",
            reason="HOST_NOT_ALLOWED",
            metadata={"method": _short(method), "actor": peer.actor},
        )


def not_listed(method: str) -> PermissionDeniedError:
    """Return the error of a method that no rule was written for."""
    return PermissionDeniedError(
        f"{_short(method)} is in no rule of this server, so nobody may call it.",
        reason="ROLE_MISSING",
        metadata={"method": _short(method)},
    )


def require_host(peer: Peer, host_id: str) -> None:
    """Raise PermissionDeniedError (HOST_NOT_ALLOWED) unless a peer may speak of a host."""
    if peer.host_ids and host_id not in peer.host_ids:
        raise host_not_allowed(peer, host_id)


def host_not_allowed(peer: Peer, host_id: str) -> PermissionDeniedError:
    """Return the error of a peer that speaks of a host that is not one of its own."""
    return PermissionDeniedError(
        f"{peer.actor!r} may speak of {_listed(peer.host_ids)} only, not of "
        f"{repr(shown(host_id)) if host_id else 'all hosts'}. Name one of those, or use a token "
        "for this host (tocsin token create --role orchestrator --host).",
        reason="HOST_NOT_ALLOWED",
        metadata={"host_id": host_id, "actor": peer.actor},
    )


def _role_missing(rule: Rule, method: str, peer: Peer) -> PermissionDeniedError:
    needed = " or ".join(sorted(rule.roles))
    has = " and ".join(sorted(peer.roles)) or "none"
    return PermissionDeniedError(
        f"{_short(method)} needs the role {needed}; {peer.actor!r} has {has}. Use a token with "
        "that role; an admin makes one by `tocsin token create`.",
        reason="ROLE_MISSING",
        metadata={
            "method": _short(method),
            "needed": ",".join(sorted(rule.roles)),
            "roles": ",".join(sorted(peer.roles)),
            "actor": peer.actor,
        },
    )


def _short(method: str) -> str:
    """Return `AlertService/Resolve` of `/tocsin.api.alert.v1.AlertService/Resolve`."""
    service, _, name = method.strip("/").rpartition("/")
    return f"{service.rpartition('.')[2]}/{name}"


_MOST_SHOWN = 3


def _listed(host_ids: Iterable[str]) -> str:
    names = sorted(host_ids)
    more = f" and {len(names) - _MOST_SHOWN} more hosts" if len(names) > _MOST_SHOWN else ""
    return ", ".join(repr(shown(name)) for name in names[:_MOST_SHOWN]) + more
