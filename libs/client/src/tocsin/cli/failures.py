"""What a failed call means to who typed the command: a few lines and an exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.cli.exits import CommandError, ExitCode
from tocsin.cli.text import lines
from tocsin.client import errors
from tocsin.common.rpc.client_credentials import ClientCredentials

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tocsin.cli.session import Session

_CODES: dict[type[errors.CallError], ExitCode] = {
    errors.NotFoundError: ExitCode.REFUSED,
    errors.AlreadyExistsError: ExitCode.REFUSED,
    errors.FailedPreconditionError: ExitCode.REFUSED,
    errors.AbortedError: ExitCode.REFUSED,
    errors.OutOfRangeError: ExitCode.REFUSED,
    errors.PermissionDeniedError: ExitCode.REFUSED,
    errors.UnauthenticatedError: ExitCode.REFUSED,
    errors.InvalidArgumentError: ExitCode.USAGE,
    errors.UnavailableError: ExitCode.UNREACHABLE,
    errors.DeadlineExceededError: ExitCode.UNREACHABLE,
}
# The option or argument that a field of a request comes from, where the names differ.
_WRITTEN_AS = {
    "host_id": "HOST",
    "kind": "KIND",
    "alert_id": "ALERT",
    "source_group_id": "--source-group",
    "repository_id": "--repository",
    "job_kind": "--job",
    "recurrence": "--cron / --on-calendar / --every",
    "recurrence.cron": "--cron",
    "recurrence.on_calendar": "--on-calendar",
    "recurrence.interval": "--every",
    "recurrence.time_zone": "--time-zone",
    "expire_time": "--for / --until",
    "display_name": "NAME",
    "webhook.url": "--url",
    "webhook.signing_secret": "--secret-file",
    "email.smtp_host": "--smtp-host",
    "email.smtp_port": "--smtp-port",
    "email.from_address": "--from",
    "email.to_addresses": "--to",
    "email.username": "--username",
    "email.password": "--password-file",
    "email.security": "--security",
}
_AS_USUAL: Mapping[str, str] = {}


def explain(
    error: errors.CallError, session: Session, written_as: Mapping[str, str] = _AS_USUAL
) -> CommandError:
    """Return what to tell about a failed call.

    `written_as` names the arguments and options of fields that this command writes its own way.
    """
    code = _CODES.get(type(error), ExitCode.SERVER)
    if isinstance(error, errors.UnavailableError) and not error.reason:
        return CommandError(_nobody_there(session), code)
    if isinstance(error, errors.UnimplementedError):
        return CommandError(_somebody_else_there(session), code)
    if error.field_violations:
        told = [
            f"{_written_as(v.field, written_as)}: {v.description}" for v in error.field_violations
        ]
    else:
        told = [str(error)]
    return CommandError("\n".join(line for text in told for line in lines(text)), code)


def _nobody_there(session: Session) -> str:
    target, option = session.asked
    return (
        f"Nothing answers at {target}. Start a local Tocsin with `tocsin up`, or say where it is "
        f"with {option}.{_about_encryption(option)}"
    )


def _about_encryption(option: str) -> str:
    """Return what else may be wrong: one who encrypts and one who does not never meet."""
    service = "NOTIFY" if "NOTIFY" in option else "ALERT"
    given = ClientCredentials.from_environment(service)
    if given.is_encrypted:
        return (
            " Or it is not encrypted, TOCSIN_TLS_CA_FILE does not vouch for it, or it wants a "
            "certificate: TOCSIN_TLS_CERTIFICATE_FILE and TOCSIN_TLS_KEY_FILE."
        )
    if given.has_token:
        return " If it is encrypted, name its authority: TOCSIN_TLS_CA_FILE."
    return ""


def _somebody_else_there(session: Session) -> str:
    target, option = session.asked
    return (
        f"What answers at {target} does not know this call: it is another service, or another "
        f"version of Tocsin. Say where the right one is with {option}."
    )


def _written_as(path: str, written_as: Mapping[str, str]) -> str:
    for outer in ("channel.", "route.", "silence.", "sample."):
        path = path.removeprefix(outer)
    names = {**_WRITTEN_AS, **written_as}
    if path in names:
        return names[path]
    name, bracket, rest = path.partition("[")
    written = names.get(name, f"--{name.removesuffix('s').replace('_', '-')}")
    which = rest.partition("]")[0]
    if which.isdecimal():  # the first one is number 0 in a path
        which = f"(number {int(which) + 1})"
    return f"{written} {which}" if bracket else written
