"""All that stands between a service and its callers, put together."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import structlog

from tocsin.common.config import ConfigError, variable
from tocsin.common.identity.gate import Gate, ended_error, unknown_token
from tocsin.common.identity.identity_rules import IDENTITY_RULES
from tocsin.common.identity.service import add_identity_service
from tocsin.common.identity.store import CredentialStore
from tocsin.common.identity.watch import CredentialWatch
from tocsin.common.open_files import open_to_others, secret_paths
from tocsin.common.rpc.caller import Anyone
from tocsin.common.rpc.door import Door

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tocsin.common.clock import Clock
    from tocsin.common.errors import UnauthenticatedError
    from tocsin.common.identity.roles import Rule
    from tocsin.common.identity.settings import SecuritySettings
    from tocsin.common.lifecycle import BackgroundLoop
    from tocsin.common.postgres.engine import Database
    from tocsin.common.rpc.caller import Peer
    from tocsin.common.rpc.server import RpcServer

_log = structlog.get_logger(__name__)


class Security:
    """The credentials of a service, kept up to date, and the door that they open.

    Start it before the server, which takes `door`.
    """

    def __init__(
        self,
        settings: SecuritySettings,
        database: Database,
        watching: Database,
        *,
        program: str,
        rules: Mapping[str, Rule],
        clock: Clock,
    ) -> None:
        """`rules` are those of the service's own methods, by their full names.

        Credentials are looked at on the pool `watching`, where no call can stand in the way.
        """
        self._settings = settings
        self._program = program
        self._clock = clock
        self._store = CredentialStore(database, clock)
        self._watch = CredentialWatch(watching, clock=clock, audit_kept=settings.audit_retention)
        self._rules = {**rules, **IDENTITY_RULES}

    @property
    def loop(self) -> BackgroundLoop:
        """What reads the credentials again and again."""
        return self._watch.loop

    @property
    def door(self) -> Door:
        """How callers are let in."""
        settings = self._settings
        gate = Gate(self._rules, self._watch, clock=self._clock)
        return Door(
            admission=Anyone() if settings.insecure_dev else gate,
            let_in_by_token=None if settings.insecure_dev else gate.let_in_by_token,
            tls=settings.server_tls(),
            clients_certified=settings.clients_certified,
            certified_listen=settings.certified_listen,
            reflection=settings.reflection,
        )

    async def start(self) -> None:
        """Read the credentials, and go on doing so.

        Raises ConfigError when nobody was ever given a credential and there is no encryption:
        whoever set that up knows who is to call, and may give out the first token later.
        """
        await self._watch.start()
        for path in open_to_others(secret_paths(self._settings)):
            _log.warning(
                "secret_file_open",
                path=str(path),
                why="others on this machine may read or change it",
                do=f"chmod o= {path}",
            )
        if self._settings.insecure_dev:
            _log.warning(
                "INSECURE: everybody who reaches this service may do everything, without any proof",
                setting=variable(type(self._settings), "insecure_dev"),
            )
        elif self._watch.known.is_empty:
            if self._settings.tls_certificate_file is None:
                await self._watch.stop()
                raise ConfigError(self._nobody())
            _log.warning("nobody_can_call", why=self._nobody())

    async def stop(self) -> None:
        """Read no more."""
        await self._watch.stop()

    def serve_on(self, rpc: RpcServer) -> None:
        """Add the service that keeps the credentials to a server that has not started."""
        add_identity_service(rpc.server, self._store, self._clock, self._watch.refresh)
        self._watch.on_poll = partial(rpc.end_streams, self._lost)

    def _lost(self, peer: Peer) -> UnauthenticatedError | None:
        """Return why a peer that was let in would not be any more, None while it would."""
        if peer.credential_id is None:
            return None
        credential = self._watch.known.by_id.get(peer.credential_id)
        if credential is None:  # in a database that was restored from before it was made
            return unknown_token()
        return ended_error(credential, self._clock.now())

    def _nobody(self) -> str:
        dev = variable(type(self._settings), "insecure_dev")
        return (
            "nobody could call this service: its database knows no token and no certificate. Make "
            f"the first token here: {self._program} token create --role admin NAME. Only to try "
            f"things out on this machine, without encryption, set {dev}=true"
        )
