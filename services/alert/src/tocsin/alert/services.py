"""What the service can be asked: every RPC service with what it stands on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from tocsin.alert.rpc.alert_service import ALERT_SERVICE, AlertService
from tocsin.alert.rpc.backup_service import BACKUP_SERVICE, BackupService
from tocsin.alert.rpc.reads import Reads
from tocsin.alert.rpc.registry import Registry
from tocsin.alert.rpc.streams import add_alert_service
from tocsin.api.alert.v1.backup_service_pb2_grpc import add_BackupServiceServicer_to_server
from tocsin.common.identity.identity_rules import IDENTITY_SERVICE
from tocsin.common.postgres.reachable import is_reachable
from tocsin.common.rpc.probes import Probes
from tocsin.common.rpc.server import RpcServer

if TYPE_CHECKING:
    from tocsin.alert.config import AlertSettings
    from tocsin.alert.eventlog.following import Following
    from tocsin.alert.ledger import Ledger
    from tocsin.alert.rpc.watch import Watch
    from tocsin.alert.telemetry.parts import AlertTelemetry
    from tocsin.common.clock import Clock
    from tocsin.common.identity.security import Security
    from tocsin.common.postgres.engine import Database

NEEDS = {
    ALERT_SERVICE: ("database", "tail", "ledger"),
    BACKUP_SERVICE: ("database", "ledger"),
    IDENTITY_SERVICE: ("database",),
}


@dataclass(frozen=True, slots=True)
class Parts:
    """What the services share. `reading` is the pool for what is read."""

    settings: AlertSettings
    security: Security
    ledger: Ledger
    reading: Database
    watch: Watch
    clock: Clock
    telemetry: AlertTelemetry


def make_server(parts: Parts) -> RpcServer:
    """Return a server with every service, not started."""
    settings = parts.settings
    rpc = RpcServer(
        settings.listen,
        needs=NEEDS,
        limits=settings.limits,
        door=parts.security.door,
        health_listen=settings.health_listen,
        shares_port=settings.workers > 1,
        observer=parts.telemetry.calls,
        around=parts.telemetry.around,
    )
    parts.telemetry.readiness = rpc.readiness
    alerts = AlertService(parts.ledger, Reads(parts.reading), parts.watch, parts.clock)
    backups = BackupService(parts.ledger, Registry(parts.reading, parts.clock), parts.clock)
    add_alert_service(rpc.server, alerts)
    add_BackupServiceServicer_to_server(backups, rpc.server)
    parts.security.serve_on(rpc)
    return rpc


def make_probes(rpc: RpcServer, database: Database, following: Following, ledger: Ledger) -> Probes:
    """Return what keeps the readiness of a server true, not started."""
    return Probes(
        rpc.readiness,
        {
            "database": partial(is_reachable, database),
            "tail": lambda: following.is_running,
            "ledger": lambda: ledger.is_running,
        },
    )
