"""How a server lets callers in: who may call what, by which certificates, and where."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tocsin.common.rpc.caller import Anyone

if TYPE_CHECKING:
    import grpc

    from tocsin.common.rpc.caller import Admission, LetInByToken
    from tocsin.common.rpc.tls import ServerTls


@dataclass(frozen=True, slots=True)
class Door:
    """An admission, and what the connections are made of.

    `let_in_by_token` tells by the method and the headers of a call whether its request may be read
    before it is admitted; None where that needs no token.
    `tls` None: connections are not encrypted. `clients_certified`: callers must show a
    certificate. `certified_listen` is a second address where they must, while they need not on the
    first; gRPC's Python server knows no certificate that may be shown or not. `reflection`:
    whether the services can be listed and described.
    """

    admission: Admission = field(default_factory=Anyone)
    let_in_by_token: LetInByToken | None = None
    tls: ServerTls | None = None
    clients_certified: bool = False
    certified_listen: str | None = None
    reflection: bool = True

    def open(self, server: grpc.aio.Server, listen: str) -> int:
        """Open an address of a server, and the second one if there is one; return the port.

        Raises RuntimeError when one is taken.
        """
        port = self._open(server, listen, clients=self.clients_certified)
        if self.certified_listen is not None:
            self._open(server, self.certified_listen, clients=True)
        return port

    def _open(self, server: grpc.aio.Server, listen: str, *, clients: bool) -> int:
        if self.tls is None:
            return server.add_insecure_port(listen)
        return server.add_secure_port(listen, self.tls.credentials(clients=clients))
