"""`tocsin health`: do both services answer, and can they do their work?"""

import grpc
import typer
from grpc_health.v1 import health_pb2, health_pb2_grpc
from rich.text import Text

from tocsin.cli.command import command
from tocsin.cli.exits import ExitCode
from tocsin.cli.session import Session
from tocsin.client.calls import SyncCalls

HEADINGS = ("SERVICE", "TARGET", "HEALTH")

_SERVING, _SILENT = "SERVING", "UNREACHABLE"


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "health")(health)


def health(session: Session) -> int:
    """Ask both services whether they can do their work.

    SERVING means that a service reaches its database and does what it is for. NOT_SERVING is
    explained by the last `readiness` in its log; then the exit code is 4. When one does not answer
    it is 3.
    """
    asked = (
        ("tocsin-alert", session.alert_target, _health_of(session.alerts, session.seconds)),
        ("tocsin-notify", session.notify_target, _health_of(session.notify, session.seconds)),
    )
    if session.output.json_wanted:
        services = [dict(zip(("service", "target", "health"), each, strict=True)) for each in asked]
        session.output.document({"services": services})
    else:
        session.output.table(HEADINGS, [(name, at, _shown(told)) for name, at, told in asked])
    told = {each[2] for each in asked}
    if _SILENT in told:
        return ExitCode.UNREACHABLE
    return ExitCode.OK if told == {_SERVING} else ExitCode.SERVER


def _health_of(client: SyncCalls, seconds: float) -> str:
    stub = health_pb2_grpc.HealthStub(client.channel)
    try:
        answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=seconds)
    except grpc.RpcError:
        return _SILENT
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))


def _shown(told: str) -> Text:
    return Text(told, style="green" if told == _SERVING else "bold red")
