"""Requests for pages of the registry: what to look for and where to go on, or a refusal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tocsin.common.errors import Violations
from tocsin.common.identity.roles import require_host
from tocsin.common.rpc.pages import note_made_up, page_token, read_page_token
from tocsin.common.rpc.validate import ID_CHARACTERS, check_text, read_page_size

if TYPE_CHECKING:
    from tocsin.api.alert.v1 import backup_service_pb2 as pb
    from tocsin.common.rpc.caller import Peer

    Listing = (
        pb.ListHostsRequest
        | pb.ListSourceGroupsRequest
        | pb.ListSchedulesRequest
        | pb.GetProtectionRequest
    )


@dataclass(frozen=True, slots=True)
class RegistryQuery:
    """A page that is asked for, in the order of ids.

    `after` is an id, empty for the first page; `host_id` is empty for those of all hosts.
    """

    host_id: str
    include_retired: bool
    after: str
    size: int
    scope: bytes

    def token_after(self, last_id: str) -> str:
        """Return the token of the page that follows this id."""
        return page_token(self.scope, (last_id,))


def read_registry_query(request: Listing, peer: Peer) -> RegistryQuery:
    """Return what is asked for, or raise InvalidArgumentError with all that is wrong.

    Raises PermissionDeniedError to a peer that asks for hosts which are not its own.
    """
    found = Violations()
    host_id: str = getattr(request, "host_id", "")
    require_host(peer, host_id)
    include_retired: bool = getattr(request, "include_retired", False)
    check_text(found, "host_id", host_id, most=ID_CHARACTERS)
    size = read_page_size(found, "page_size", request.page_size)
    scope = _scope(request, host_id, include_retired=include_retired)
    place = read_page_token(found, "page_token", request.page_token, scope, parts=1)
    if place and ("\0" in place[0] or len(place[0]) > ID_CHARACTERS):
        note_made_up(found, "page_token")
    found.raise_if_any()
    return RegistryQuery(host_id, include_retired, place[0] if place else "", size, scope)


def _scope(request: Listing, host_id: str, *, include_retired: bool) -> bytes:
    method = request.DESCRIPTOR.name.removesuffix("Request")
    return f"{method}\0{host_id}\0{include_retired}".encode(errors="replace")
