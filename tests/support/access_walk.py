"""Calls every method with every credential, and tells how each ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf import descriptor_pool
from google.protobuf.message_factory import GetMessageClass

from support.identity import EVERY_ROLE, bearing, code_of_call
from tocsin.common.identity.tokens import new_token

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from support.identity import Credentials
    from tocsin.common.identity.roles import Role, Rule

REFUSED = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)


async def unproven(credentials: Credentials) -> dict[str, Any]:
    """Return metadata that proves nothing, by what it lacks."""
    return {
        "none": (),
        "empty": (("authorization", ""),),
        "malformed": (("authorization", "Bearer tocsin_short"),),
        "another scheme": (("authorization", "Basic dG9jc2luOnRvY3Npbg=="),),
        "unknown": bearing(new_token(bytes)),
        "expired": bearing(await credentials.expired_token(*EVERY_ROLE)),
        "revoked": bearing(await credentials.revoked_token(*EVERY_ROLE)),
    }


async def let_in(
    channel: grpc.aio.Channel, methods: Iterable[str], metadata: Any, request: Any = b""
) -> set[str]:
    """Return those of the methods that this metadata opens."""
    opened = set[str]()
    for method in methods:
        code, _ = await code_of_call(channel, method, metadata=metadata, request=request)
        if code not in REFUSED:
            opened.add(method)
    return opened


async def let_in_by_role(
    channel: grpc.aio.Channel,
    methods: Iterable[str],
    credentials: Credentials,
    refresh: Callable[[], Awaitable[None]],
) -> dict[Role, set[str]]:
    """Return the methods that each role opens by itself. `refresh` lets the service know them."""
    tokens = {role: await credentials.token(role, name=f"only-{role}") for role in EVERY_ROLE}
    await refresh()
    return {role: await let_in(channel, methods, bearing(token)) for role, token in tokens.items()}


def listed_by_role(rules: Mapping[str, Rule], methods: Iterable[str]) -> dict[Role, set[str]]:
    """Return the methods that a table opens to each role; those for anybody are open to all."""
    return {
        role: {m for m in methods if role in rules[m].roles or not rules[m].roles}
        for role in EVERY_ROLE
    }


def about_host(method: str, host_id: str) -> bytes:
    """Return a request that names a host, as far as the request of the method can."""
    service, _, name = method[1:].rpartition("/")
    found = descriptor_pool.Default().FindServiceByName(service).methods_by_name[name]
    request: Any = GetMessageClass(found.input_type)()
    if "host_id" in found.input_type.fields_by_name:
        request.host_id = host_id
    return bytes(request.SerializeToString())
