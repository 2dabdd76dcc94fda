"""Calls to this machine go straight there: gRPC would send them to `http_proxy` as well."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_VARIABLE = "no_grpc_proxy"  # gRPC looks at it first, and then not at no_proxy
_LOOPBACK = "127.0.0.1,localhost,::1"


def sparing_loopback(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment with the loopback addresses added to those without a proxy."""
    spared = environment.get(_VARIABLE) or environment.get("no_proxy") or ""
    return {**environment, _VARIABLE: f"{spared},{_LOOPBACK}" if spared else _LOOPBACK}
